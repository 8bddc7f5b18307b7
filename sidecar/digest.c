/* SPDX-License-Identifier: MIT */
/* digest - what a state is recognised by: SHA-256 over its fields. */
#include "digest.h"

#include <sha2.h>

/* libmd's header stays in this file; its state lives in the maker's bytes. */
_Static_assert(sizeof(SHA2_CTX) <= DIGEST_STATE_BYTES, "the maker holds libmd's state");
_Static_assert(_Alignof(SHA2_CTX) <= _Alignof(struct digest_maker), "aligned as libmd needs it");
_Static_assert(SHA256_DIGEST_LENGTH == DIGEST_BYTES, "SHA-256");

enum { NUMBER_BYTES = 8, BITS_PER_BYTE = 8 };

static SHA2_CTX *state_of(struct digest_maker *maker)
{
	return (SHA2_CTX *)(void *)maker->state;
}

static void to_bytes(uint64_t number, unsigned char out[NUMBER_BYTES])
{
	for (int i = NUMBER_BYTES - 1; i >= 0; i--, number >>= BITS_PER_BYTE)
		out[i] = (unsigned char)(number & 0xff);
}

void digest_start(struct digest_maker *maker)
{
	SHA256Init(state_of(maker));
}

void digest_add(struct digest_maker *maker, struct span field)
{
	unsigned char length[NUMBER_BYTES];

	to_bytes(field.len, length);
	SHA256Update(state_of(maker), length, sizeof(length));
	if (field.len > 0)
		SHA256Update(state_of(maker), (const unsigned char *)field.data, field.len);
}

void digest_add_text(struct digest_maker *maker, const char *field)
{
	digest_add(maker, span_from(field));
}

void digest_add_number(struct digest_maker *maker, uint64_t field)
{
	unsigned char bytes[NUMBER_BYTES];

	to_bytes(field, bytes);
	digest_add(maker, span_make((const char *)bytes, sizeof(bytes)));
}

void digest_add_digest(struct digest_maker *maker, const struct digest *field)
{
	digest_add(maker, span_make((const char *)field->bytes, sizeof(field->bytes)));
}

void digest_finish(struct digest_maker *maker, struct digest *out)
{
	SHA256Final(out->bytes, state_of(maker));
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool digest_is_none(const struct digest *digest)
{
	static const struct digest none = DIGEST_NONE;

	return digest_equal(digest, &none);
}

static const char *print(const struct digest *digest, char *out, size_t out_bytes)
{
	static const char digits[] = "0123456789abcdef";

	if (digest_is_none(digest))
		return memcpy(out, "none", sizeof("none"));
	for (size_t i = 0; i + 1 < out_bytes; i++)
		out[i] = digits[(digest->bytes[i / 2] >> (i % 2 ? 0 : 4)) & 0xf];
	out[out_bytes - 1] = '\0';
	return out;
}

const char *digest_print(const struct digest *digest, char out[static DIGEST_TEXT_BYTES])
{
	return print(digest, out, DIGEST_TEXT_BYTES);
}

const char *digest_print_short(const struct digest *digest,
			       char out[static DIGEST_SHORT_TEXT_BYTES])
{
	return print(digest, out, DIGEST_SHORT_TEXT_BYTES);
}
