// SPDX-License-Identifier: Apache-2.0
// usage: node validate.mjs FILE: whether it is a valid OpenAPI document, by its own schema.
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";

const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(process.argv[2], "utf8")));
if (!result.valid) {
	console.error(JSON.stringify(result.errors, null, 1));
	process.exit(1);
}
console.log(validator.version);
