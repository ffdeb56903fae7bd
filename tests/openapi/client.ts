// A client of the API, made of its description: submits, waits, pages, cancels and reads errors.
// Prints what it saw as one JSON object. Its argument is the API's address.
import createClient from "openapi-fetch";
import type { paths } from "./api";

const api = createClient<paths>({ baseUrl: process.argv[2] });

function given<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const submitted = given(
  await api.POST("/items", {
    params: { query: { wait: "completed", timeout: 60 } },
    body: { item_id: "ts-done", payload_uri: "uri:x" },
  }),
);
const batch = given(
  await api.POST("/items/batch", {
    body: {
      items: ["ts-1", "ts-2"].map((item_id) => ({ item_id, payload_uri: "uri:x", kind: "parked" })),
    },
  }),
);
const cancelled = given(
  await api.POST("/items/{item_id}/cancel", { params: { path: { item_id: "ts-1" } } }),
);
const explained = given(
  await api.POST("/items/{item_id}/cancel", {
    params: { path: { item_id: "ts-2" } },
    body: { reason: "not needed" },
  }),
);
const view = given(await api.GET("/items/{item_id}", { params: { path: { item_id: "ts-2" } } }));

const listed: string[] = [];
const deadline = Date.now() + 60_000;
while (listed.length < 3 && Date.now() < deadline) {
  listed.length = 0;
  let cursor: string | null | undefined;
  do {
    const query = { id_prefix: "ts-", limit: 1, cursor: cursor ?? undefined };
    const page = given(await api.GET("/items", { params: { query } }));
    listed.push(...page.items.map((item) => item.item_id));
    cursor = page.next_cursor;
  } while (cursor);
}

const missing = await api.GET("/items/{item_id}", { params: { path: { item_id: "ts-none" } } });
const invalid = await api.POST("/items", { body: { item_id: "a b", payload_uri: "uri:x" } });

console.log(
  JSON.stringify({
    status: submitted.item?.status,
    created: new Date(submitted.item?.created_at ?? "").toISOString(),
    accepted: batch.accepted,
    cancelled: [cancelled.item?.status, explained.item?.failure_reason, view.item.status],
    listed,
    missing: missing.error?.detail,
    invalid: invalid.error?.errors?.map((error) => error.field),
  }),
);
