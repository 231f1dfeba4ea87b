// Sends one event with the CloudEvents SDK for JavaScript.
//
//   node send.js URL binary|structured    with the event's attributes and data as JSON on stdin
//
// Prints {"status", "body"} of the answer.
import { readFileSync } from "node:fs";
import { CloudEvent, HTTP } from "cloudevents";

const [url, mode] = process.argv.slice(2);
const event = new CloudEvent(JSON.parse(readFileSync(0, "utf8")));
const message = { binary: HTTP.binary, structured: HTTP.structured }[mode](event);
const answer = await fetch(url, { method: "POST", headers: message.headers, body: message.body });
console.log(JSON.stringify({ status: answer.status, body: await answer.text() }));
