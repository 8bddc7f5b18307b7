/* SPDX-License-Identifier: MIT */
/* pack - numbers and texts as bytes, for another process of this program. */
#include "pack.h"

void pack_number(struct buf *out, uint64_t number)
{
	char bytes[sizeof(number)];

	memcpy(bytes, &number, sizeof(number));
	buf_add(out, span_make(bytes, sizeof(bytes)));
}

void pack_bytes(struct buf *out, struct span bytes)
{
	pack_number(out, bytes.len);
	buf_add(out, bytes);
}

void pack_text(struct buf *out, const char *text)
{
	pack_bytes(out, span_from(text ? text : ""));
}

struct span unpack_run(struct unpacker *u, uint64_t len)
{
	struct span run = span_make(u->rest.data, (size_t)len);

	if (u->failed || len > u->rest.len) {
		u->failed = true;
		return span_make("", 0);
	}
	u->rest = span_make(u->rest.data + len, u->rest.len - (size_t)len);
	return run;
}

uint64_t unpack_number(struct unpacker *u)
{
	uint64_t number = 0;
	struct span run = unpack_run(u, sizeof(number));

	if (run.len == sizeof(number))
		memcpy(&number, run.data, sizeof(number));
	return number;
}

uint64_t unpack_number_below(struct unpacker *u, uint64_t limit)
{
	uint64_t number = unpack_number(u);

	if (number < limit)
		return number;
	u->failed = true;
	return 0;
}

bool unpack_bool(struct unpacker *u)
{
	return unpack_number_below(u, 2) == 1;
}

struct span unpack_bytes(struct unpacker *u)
{
	return unpack_run(u, unpack_number(u));
}

char *unpack_text(struct unpacker *u)
{
	struct span run = unpack_bytes(u);
	char *text = strndup(run.data, run.len);

	if (!text)
		u->no_memory = u->failed = true;
	else if (strlen(text) != run.len)
		u->failed = true;
	return text;
}
