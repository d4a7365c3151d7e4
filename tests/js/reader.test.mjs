// The page at /docs: how it names the types of the OpenAPI document.

import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";

import { pageWith } from "./support.mjs";

const pending = { then: () => pending, catch: () => pending };
const page = pageWith({ fetch: () => pending }, "src/http/openapi/reader.js");
const run = (name, ...values) => JSON.parse(JSON.stringify(vm.runInContext(name, page)(...values)));

test("a type is named by its reference, its values, its parts or its fields", () => {
  const typed = (schema) => run("typeOf", schema);
  assert.equal(typed({ $ref: "#/components/schemas/Status" }), "Status");
  assert.equal(typed({ enum: ["a", "b"], type: "string" }), '"a" | "b"');
  assert.equal(typed({ type: "array", items: { $ref: "#/components/schemas/Status" } }), "Status[]");
  assert.equal(typed({ oneOf: [{ type: "null" }, { $ref: "#/x/Qr" }] }), "null | Qr");
  assert.equal(typed({ allOf: [{ $ref: "#/x/A" }, { properties: { b: {} } }] }), "A & { b }");
  assert.equal(typed({ type: ["string", "null"] }), "string | null");
  assert.equal(typed(undefined), "");
});

test("a body that may be left out is shown with the fields of what it may be", () => {
  const schemas = { Link: { properties: { url: {} } } };
  assert.deepEqual(run("resolved", { oneOf: [{ type: "null" }, { $ref: "#/components/schemas/Link" }] }, schemas), schemas.Link);
});
