// The test hands over where the document is, and where the service is.
module.exports = {
  client: {
    input: { target: process.env.DOCUMENT },
    output: { target: process.env.GENERATED, client: "fetch", baseUrl: process.env.SERVICE },
  },
};
