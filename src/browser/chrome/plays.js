// Whether this Chrome plays each of these types. A word for "perhaps" counts: Chrome says it of what it does not look into.
(types) => types.map((type) => document.createElement("video").canPlayType(type) !== "")
