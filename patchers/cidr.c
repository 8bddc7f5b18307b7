/* SPDX-License-Identifier: MIT */
/* cidr - IPv4 and IPv6 networks in prefix notation (RFC 4632, RFC 4291). */
#include "cidr.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/notes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

enum { IPV4_BITS = 32, IPV6_BITS = 128, MAPPED_BITS = 96 };

static unsigned width(const struct cidr *net)
{
	return net->is_ipv6 ? IPV6_BITS : IPV4_BITS;
}

/* Clear the bits beyond the prefix; says whether any was set. */
static bool clear_host_bits(struct cidr *net)
{
	bool any = false;

	for (unsigned bit = net->prefix; bit < width(net); bit++) {
		uint8_t mask = (uint8_t)(0x80 >> (bit % 8));

		any = any || (net->bytes[bit / 8] & mask);
		net->bytes[bit / 8] = (uint8_t)(net->bytes[bit / 8] & ~mask);
	}
	return any;
}

/* ::ffff:a.b.c.d/n (RFC 4291, 2.5.5.2) is the IPv4 network with n - 96 bits. */
static void unmap(struct cidr *net)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (!net->is_ipv6 || net->prefix < MAPPED_BITS || memcmp(net->bytes, mapped, 12) != 0)
		return;
	memmove(net->bytes, net->bytes + 12, 4);
	memset(net->bytes + 4, 0, 12);
	net->is_ipv6 = false;
	net->prefix -= MAPPED_BITS;
}

int cidr_parse(struct span text, struct cidr *out, bool *out_host_bits, struct error *err)
{
	const char *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
	struct span address = slash ? span_between(text.data, slash) : text;
	char copy[INET6_ADDRSTRLEN];
	struct cidr net = { 0 };
	unsigned long prefix;
	bool host_bits;

	if (address.len == 0 || address.len >= sizeof(copy))
		return error_set(err, -EINVAL, "\"%.*s\" is not an address", SPAN_ARG(address));
	memcpy(copy, address.data, address.len);
	copy[address.len] = '\0';
	if (memchr(copy, '\0', address.len))
		return error_set(err, -EINVAL, "an address with a NUL byte");

	if (inet_pton(AF_INET, copy, net.bytes) != 1) {
		net.is_ipv6 = true;
		if (inet_pton(AF_INET6, copy, net.bytes) != 1)
			return error_set(err, -EINVAL, "\"%s\" is not an IPv4 or IPv6 address",
					 copy);
	}
	prefix = width(&net);
	if (slash && !span_to_number(span_between(slash + 1, span_end(text)), prefix, &prefix))
		return error_set(err, -EINVAL, "\"%.*s\": the prefix is not a number from 0 to %u",
				 SPAN_ARG(text), width(&net));
	net.prefix = (unsigned)prefix;
	host_bits = clear_host_bits(&net);
	unmap(&net);
	*out = net;
	if (out_host_bits)
		*out_host_bits = host_bits;
	return 0;
}

const char *cidr_print(const struct cidr *net, char out[CIDR_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN] = "?";

	inet_ntop(net->is_ipv6 ? AF_INET6 : AF_INET, net->bytes, address, sizeof(address));
	snprintf(out, CIDR_TEXT_MAX, "%s/%u", address, net->prefix);
	return out;
}

bool cidr_contains(const struct cidr *outer, const struct cidr *inner)
{
	struct cidr cut = *inner;

	if (outer->is_ipv6 != inner->is_ipv6 || inner->prefix < outer->prefix)
		return false;
	cut.prefix = outer->prefix;
	clear_host_bits(&cut);
	return memcmp(cut.bytes, outer->bytes, sizeof(cut.bytes)) == 0;
}

bool cidr_is_loopback(const struct cidr *net)
{
	static const struct cidr ipv4 = { .bytes = { 127 }, .prefix = 8 };
	static const struct cidr ipv6 = { .is_ipv6 = true, .bytes = { [15] = 1 }, .prefix = 128 };

	return cidr_contains(&ipv4, net) || cidr_contains(&ipv6, net);
}

void cidr_list_release(struct cidr_list *list)
{
	free(list->items);
	*list = (struct cidr_list){ 0 };
}

bool cidr_list_covers(const struct cidr_list *list, const struct cidr *net)
{
	for (size_t i = 0; i < list->n_items; i++)
		if (cidr_contains(&list->items[i], net))
			return true;
	return false;
}

static void note_covered(struct notes *notes, const struct cidr *inner, const struct cidr *outer)
{
	char inner_text[CIDR_TEXT_MAX], outer_text[CIDR_TEXT_MAX];

	cidr_print(inner, inner_text);
	cidr_print(outer, outer_text);
	if (strcmp(inner_text, outer_text) == 0)
		notes_add(notes, NOTE_NOTICE, "network %s is given twice", inner_text);
	else
		notes_add(notes, NOTE_NOTICE, "network %s lies inside %s: left out", inner_text,
			  outer_text);
}

int cidr_list_add(struct cidr_list *list, const struct cidr *net, struct notes *notes,
		  struct error *err)
{
	struct cidr *items;
	size_t kept = 0;

	for (size_t i = 0; i < list->n_items; i++) {
		if (cidr_contains(&list->items[i], net)) {
			note_covered(notes, net, &list->items[i]);
			return 0;
		}
	}
	items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
	if (!items)
		return error_set(err, -ENOMEM, "out of memory");
	list->items = items;
	for (size_t i = 0; i < list->n_items; i++) {
		if (cidr_contains(net, &items[i]))
			note_covered(notes, &items[i], net);
		else
			items[kept++] = items[i];
	}
	items[kept++] = *net;
	list->n_items = kept;
	return 0;
}

void cidr_list_print(const struct cidr_list *list, struct buf *out)
{
	for (size_t i = 0; i < list->n_items; i++) {
		char text[CIDR_TEXT_MAX];

		if (i > 0)
			buf_add_char(out, ' ');
		buf_add_text(out, cidr_print(&list->items[i], text));
	}
}
