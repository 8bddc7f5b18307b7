/* SPDX-License-Identifier: MIT */
/* netlink - messages and attributes of netlink(7), written, read and compared. */
#include "netlink.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	ANSWER_BYTES_MAX = 32768, /* a dump comes in pieces of no more than that when read so */
	ANSWERS_MAX = 4096,
	HEARD_BYTES_MAX = 16384, /* the kernel sends no more at once, unasked: NLMSG_GOODSIZE */
	ANSWER_WAIT_S = 5, /* the kernel answers before send() is over; a dump goes on at recv() */
	SEND_ROOM_BYTES = 64 * 1024, /* what fits into a socket's buffer everywhere */
	SEND_ROOM_FACTOR = 4,
	NESTS_MAX = 8,
	ERRNO_MAX = 4095, /* the kernel's own limit */
};

/* ---- written ---- */

static void add_bytes(struct buf *b, const void *bytes, size_t len)
{
	buf_add(b, span_make(bytes, len));
}

static void pad(struct buf *b)
{
	static const char zeros[NLMSG_ALIGNTO] = { 0 };

	add_bytes(b, zeros, NLMSG_ALIGN(b->len) - b->len);
}

netlink_mark netlink_begin(struct buf *b, const struct netlink_header *header)
{
	netlink_mark mark = b->len;
	const struct nlmsghdr first = {
		.nlmsg_type = header->type,
		.nlmsg_flags = header->flags | NLM_F_REQUEST,
		.nlmsg_seq = header->sequence,
	};
	const struct nfgenmsg second = {
		.nfgen_family = header->family,
		.version = NFNETLINK_V0,
		.res_id = htons(header->resource),
	};

	add_bytes(b, &first, sizeof(first));
	add_bytes(b, &second, sizeof(second));
	return mark;
}

void netlink_end(struct buf *b, netlink_mark message)
{
	uint32_t len = (uint32_t)(b->len - message);

	if (!b->failed)
		memcpy(b->data + message + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
}

void netlink_want_answer(struct buf *b, netlink_mark message)
{
	char *at = b->data + message + offsetof(struct nlmsghdr, nlmsg_flags);
	uint16_t flags;

	if (b->failed)
		return;
	memcpy(&flags, at, sizeof(flags));
	flags |= NLM_F_ACK;
	memcpy(at, &flags, sizeof(flags));
}

/* Its length is put in later when it is a nest. */
static netlink_mark begin_attribute(struct buf *b, uint16_t type, size_t len)
{
	netlink_mark mark = b->len;
	const struct nlattr header = { .nla_len = (uint16_t)(sizeof(header) + len),
				       .nla_type = type };

	add_bytes(b, &header, sizeof(header));
	return mark;
}

void netlink_put(struct buf *b, uint16_t type, const void *bytes, size_t len)
{
	begin_attribute(b, type, len);
	add_bytes(b, bytes, len);
	pad(b);
}

void netlink_put_text(struct buf *b, uint16_t type, const char *text)
{
	netlink_put(b, type, text, strlen(text) + 1);
}

void netlink_put_be32(struct buf *b, uint16_t type, uint32_t value)
{
	uint32_t sent = htonl(value);

	netlink_put(b, type, &sent, sizeof(sent));
}

netlink_mark netlink_nest(struct buf *b, uint16_t type)
{
	return begin_attribute(b, type | NLA_F_NESTED, 0);
}

void netlink_nest_end(struct buf *b, netlink_mark nest)
{
	uint16_t len = (uint16_t)(b->len - nest);

	if (!b->failed)
		memcpy(b->data + nest + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

/* ---- read ---- */

static bool take_with_flags(struct span *attributes, uint16_t *out_type, struct span *out)
{
	struct nlattr header;
	size_t whole;

	if (attributes->len < sizeof(header))
		return false;
	memcpy(&header, attributes->data, sizeof(header));
	if (header.nla_len < sizeof(header) || header.nla_len > attributes->len)
		return false;
	*out_type = header.nla_type;
	*out = span_make(attributes->data + sizeof(header), header.nla_len - sizeof(header));
	whole = NLA_ALIGN(header.nla_len);
	whole = whole < attributes->len ? whole : attributes->len;
	*attributes = span_make(attributes->data + whole, attributes->len - whole);
	return true;
}

static uint16_t type_of(uint16_t flags)
{
	return flags & (uint16_t)NLA_TYPE_MASK;
}

bool netlink_take(struct span *attributes, uint16_t *out_type, struct span *out)
{
	if (!take_with_flags(attributes, out_type, out))
		return false;
	*out_type = type_of(*out_type);
	return true;
}

static size_t count(struct span attributes, uint16_t type)
{
	struct span value;
	uint16_t found;
	size_t n = 0;

	while (netlink_take(&attributes, &found, &value))
		n += found == type;
	return n;
}

/* The next attribute of this type. */
static bool find_next(struct span *attributes, uint16_t type, struct span *out)
{
	uint16_t found;

	while (netlink_take(attributes, &found, out))
		if (found == type)
			return true;
	return false;
}

bool netlink_find(struct span attributes, uint16_t type, struct span *out)
{
	return find_next(&attributes, type, out);
}

bool netlink_is_text(struct span attributes, uint16_t type, const char *text)
{
	struct span value;

	return netlink_find(attributes, type, &value) &&
	       span_equal(value, span_make(text, strlen(text) + 1));
}

/* Of one type the attributes stand together in what is wanted, as in a list. */
static bool covers(struct span seen, struct span wanted, unsigned depth)
{
	const struct span all_seen = seen, all_wanted = wanted;
	struct span value, found;
	uint16_t flags, last = 0;
	bool is_first = true;

	while (take_with_flags(&wanted, &flags, &value)) {
		const uint16_t type = type_of(flags);

		if (is_first || type != last) {
			if (count(all_seen, type) != count(all_wanted, type))
				return false;
			seen = all_seen;
		}
		is_first = false;
		last = type;
		if (!find_next(&seen, type, &found))
			return false;
		if (flags & NLA_F_NESTED ? depth == 0 || !covers(found, value, depth - 1)
					 : !span_equal(found, value))
			return false;
	}
	return true;
}

bool netlink_covers(struct span seen, struct span wanted)
{
	return covers(seen, wanted, NESTS_MAX);
}

/* ---- sent and heard ---- */

int netlink_open(struct netlink *out, int protocol, struct error *err)
{
	const struct timeval limit = { .tv_sec = ANSWER_WAIT_S };
	const struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return error_errno(err, "netlink");
	/* One without an address of its own is told nothing of a group. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return error_errno(err, "netlink");
	*out = (struct netlink){ .fd = steal_fd(&fd) };
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	if (netlink->fd >= 0)
		close(netlink->fd);
	netlink->fd = -1;
}

/* All in one piece, because it is one transaction; so it needs the room. */
static int send_all(int fd, const struct buf *messages, struct error *err)
{
	const int room = (int)messages->len * SEND_ROOM_FACTOR;
	ssize_t n;

	/* What is larger than the default needs a privilege, which netfilter wants anyway. */
	if (messages->len > SEND_ROOM_BYTES &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		return error_errno(err, "netlink: room for %zu bytes", messages->len);
	do
		n = send(fd, messages->data, messages->len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? error_errno(err, "netlink: send") : 0;
}

/*
 * What stands behind a message, and how much of it is left.  The last one's padding may
 * be missing: NLMSG_NEXT() would count below zero then, and read on.
 */
static const struct nlmsghdr *next_message(const struct nlmsghdr *message, size_t *left)
{
	size_t whole = NLMSG_ALIGN(message->nlmsg_len);

	whole = whole < *left ? whole : *left;
	*left -= whole;
	return (const void *)((const char *)message + whole);
}

struct exchange {
	uint32_t first, last; /* sequence numbers: answers to others are of an exchange before */
	netlink_heard *heard;
	void *arg;
	bool is_over;
};

static int take_verdict(struct exchange *x, const struct nlmsghdr *message, struct error *err)
{
	const struct nlmsgerr *verdict = (const void *)((const char *)message + NLMSG_HDRLEN);

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*verdict)))
		return error_set(err, -EPROTO, "netlink: a torn answer");
	if (verdict->error < -ERRNO_MAX)
		return error_set(err, -EPROTO, "netlink: a refusal for no reason that there is");
	x->is_over = x->is_over || message->nlmsg_seq == x->last;
	return verdict->error < 0 ? error_code(err, verdict->error, "netlink") : 0;
}

/* What is neither a verdict nor an end. */
static int pass_on(const struct nlmsghdr *message, netlink_heard *heard, void *arg,
		   struct error *err)
{
	const size_t before = NLMSG_LENGTH(sizeof(struct nfgenmsg));

	if (!heard || message->nlmsg_len < before)
		return 0;
	return heard(arg, message->nlmsg_type,
		     span_make((const char *)message + before, message->nlmsg_len - before), err);
}

static int take_message(struct exchange *x, const struct nlmsghdr *message, struct error *err)
{
	if (message->nlmsg_seq - x->first > x->last - x->first)
		return 0;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		return error_set(err, -EINTR, "netlink: changed while it was told");
	if (message->nlmsg_type == NLMSG_ERROR)
		return take_verdict(x, message, err);
	if (message->nlmsg_type == NLMSG_DONE) {
		x->is_over = true;
		return 0;
	}
	return pass_on(message, x->heard, x->arg, err);
}

static int take_answer(struct exchange *x, const struct nlmsghdr *message, size_t n,
		       struct error *err)
{
	int rc = 0;

	for (; rc == 0 && NLMSG_OK(message, n); message = next_message(message, &n))
		rc = take_message(x, message, err);
	return rc;
}

static int hear_out(int fd, struct exchange *x, struct error *err)
{
	cleanup_free char *answer = malloc(ANSWER_BYTES_MAX);
	int rc = 0;

	if (!answer)
		return error_set(err, -ENOMEM, "out of memory");
	for (int i = 0; rc == 0 && !x->is_over && i < ANSWERS_MAX; i++) {
		ssize_t n = recv(fd, answer, ANSWER_BYTES_MAX, 0);

		if (n < 0 && errno != EINTR)
			return error_errno(err, "netlink: receive");
		if (n > 0)
			rc = take_answer(x, (const struct nlmsghdr *)(const void *)answer,
					 (size_t)n, err);
	}
	if (rc == 0 && !x->is_over)
		rc = error_set(err, -EPROTO, "netlink: no end of the answer");
	return rc;
}

int netlink_talk(struct netlink *netlink, const struct buf *messages, netlink_heard *heard,
		 void *arg, struct error *err)
{
	struct exchange x = {
		.first = netlink->heard + 1,
		.last = netlink->answer != 0 ? netlink->answer : netlink->sequence,
		.heard = heard,
		.arg = arg,
	};
	int rc = buf_check(messages, err);

	netlink->heard = netlink->sequence;
	netlink->answer = 0;
	if (rc == 0)
		rc = send_all(netlink->fd, messages, err);
	return rc < 0 ? rc : hear_out(netlink->fd, &x, err);
}

int netlink_hear(struct netlink *netlink, netlink_heard *heard, void *arg)
{
	union {
		struct nlmsghdr first;
		char bytes[HEARD_BYTES_MAX];
	} heard_now;
	const struct nlmsghdr *message = &heard_now.first;
	ssize_t n = recv(netlink->fd, &heard_now, sizeof(heard_now), 0);
	size_t left = n > 0 ? (size_t)n : 0;
	int rc = n < 0 ? -errno : 0;

	for (; rc == 0 && NLMSG_OK(message, left); message = next_message(message, &left))
		rc = pass_on(message, heard, arg, NULL);
	return rc == -EINTR ? 0 : rc;
}
