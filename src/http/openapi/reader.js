"use strict";
// Shows /openapi.json. Everything goes in as text, never as HTML.

const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

// What stands between backticks is code.
const prose = (name, text, className) => {
  const element = make(name, undefined, className);
  (text || "").split("`").forEach((part, at) => element.append(at % 2 ? make("code", part) : part));
  return element;
};

const table = (heads, rows) => {
  const element = make("table");
  const line = (name, cells) => {
    const row = make("tr");
    for (const cell of cells) row.append(prose(name, cell));
    element.append(row);
  };
  line("th", heads);
  for (const row of rows) line("td", row);
  return element;
};

// A body that may be left out is told as a choice between it and null.
const isNull = (schema) => schema.type === "null";

const resolved = (schema, schemas) => {
  if (schema.$ref) return resolved(schemas[schema.$ref.split("/").pop()], schemas);
  const told = (schema.oneOf || schema.anyOf || []).filter((choice) => !isNull(choice));
  return told.length === 1 ? resolved(told[0], schemas) : schema;
};

const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  for (const some of ["oneOf", "anyOf", "allOf"]) {
    if (schema[some]) return schema[some].map(typeOf).join(some === "allOf" ? " & " : " | ");
  }
  if (schema.items) return `${typeOf(schema.items)}[]`;
  if (schema.properties) return `{ ${Object.keys(schema.properties).join(", ")} }`;
  return [].concat(schema.type || "any").join(" | ");
};

const fields = (schema) =>
  table(["field", "type", ""], Object.entries(schema.properties || {}).map(([name, field]) =>
    [name + ((schema.required || []).includes(name) ? " *" : ""), typeOf(field), field.description || ""]));

const examples = (content) => Object.entries(content.examples || {}).map(([, example]) =>
  make("pre", JSON.stringify(example.value, null, 2)));

const operation = (method, path, told, schemas) => {
  const details = make("details");
  const summary = make("summary");
  summary.append(make("code", method.toUpperCase(), "method"), make("code", path), prose("span", told.summary));
  if (told["x-scope"]) summary.append(make("span", `key with ${told["x-scope"]}`, "scope"));
  const body = make("div");
  if (told.description) body.append(prose("p", told.description));
  if (told.parameters) {
    body.append(table(["parameter", "in", "type", ""], told.parameters.map((parameter) =>
      [parameter.name + (parameter.required ? " *" : ""), parameter.in, typeOf(parameter.schema), parameter.description || ""])));
  }
  for (const content of Object.values((told.requestBody || {}).content || {})) {
    body.append(make("h4", "Body"), fields(resolved(content.schema, schemas)), ...examples(content));
  }
  body.append(make("h4", "Answers"), table(["status", "body", ""], Object.entries(told.responses).map(([status, answer]) =>
    [status, Object.entries(answer.content || {}).map(([type, content]) => `${type}: ${typeOf(content.schema)}`).join("\n"), answer.description])));
  details.append(summary, body);
  return details;
};

const show = (told) => {
  const main = document.querySelector("main");
  main.append(prose("p", told.info.description));
  for (const [path, methods] of Object.entries(told.paths)) {
    for (const [method, own] of Object.entries(methods)) main.append(operation(method, path, own, told.components.schemas));
  }
  main.append(make("h2", "Types"));
  for (const [name, schema] of Object.entries(told.components.schemas)) {
    const details = make("details");
    const body = make("div");
    if (schema.description) body.append(prose("p", schema.description));
    body.append(schema.properties ? fields(schema) : make("code", typeOf(schema)));
    details.append(make("summary", name), body);
    main.append(details);
  }
};

fetch("openapi.json").then((answer) => answer.json()).then(show).catch((why) => {
  document.querySelector("main").append(make("p", `The document could not be read: ${why}`));
});
