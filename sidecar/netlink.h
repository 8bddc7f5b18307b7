/* SPDX-License-Identifier: MIT */
/*
 * netlink - messages and attributes of netlink(7), written, read and compared.
 *
 * A message is built at the end of a buffer; whatever goes wrong there is found
 * by buf_check() when it is complete.  Attributes are read from spans, and
 * nothing outside them is touched, whatever their lengths say.
 */
#ifndef SIDECAR_NETLINK_H
#define SIDECAR_NETLINK_H

#include "patchers/base/buf.h"

#include <stdint.h>

struct error;

/* Where a message, or a nest of attributes, began in its buffer. */
typedef size_t netlink_mark;

struct netlink_header {
	uint16_t type, flags; /* nlmsghdr's; NLM_F_REQUEST is added */
	uint32_t sequence;
	uint8_t family; /* nfgenmsg's, as all of netfilter has it */
	uint16_t resource;
};

netlink_mark netlink_begin(struct buf *b, const struct netlink_header *header);
void netlink_end(struct buf *b, netlink_mark message);

/* Have a message acknowledged that was built without NLM_F_ACK. */
void netlink_want_answer(struct buf *b, netlink_mark message);

void netlink_put(struct buf *b, uint16_t type, const void *bytes, size_t len);
void netlink_put_text(struct buf *b, uint16_t type, const char *text);
void netlink_put_be32(struct buf *b, uint16_t type, uint32_t value);
netlink_mark netlink_nest(struct buf *b, uint16_t type);
void netlink_nest_end(struct buf *b, netlink_mark nest);

/*
 * Take the first attribute off the span: its type without flags, and its bytes,
 * borrowed.  False at the end, or when what is left is no attribute.
 */
bool netlink_take(struct span *attributes, uint16_t *out_type, struct span *out);

/* The first attribute of this type. */
bool netlink_find(struct span attributes, uint16_t type, struct span *out);

/* Whether the first attribute of this type is this text, with its NUL. */
bool netlink_is_text(struct span attributes, uint16_t type, const char *text);

/*
 * Whether everything that `wanted` says is in `seen`: of each type as many attributes,
 * in the same order, with the same bytes, and nests likewise.  Types that `wanted` does
 * not name do not count: a kernel tells more than it was given.
 */
bool netlink_covers(struct span seen, struct span wanted);

/* A conversation with the kernel. */
struct netlink {
	int fd;
	uint32_t sequence; /* of the last message that was built */
	uint32_t answer;   /* of the one whose answer is the last to come; 0: the last one */
	uint32_t heard;    /* of the last message of the exchange before */
};

#define NETLINK_INIT                                                                               \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* A socket of that protocol of netlink(7), close-on-exec.  0, or a negative errno. */
int netlink_open(struct netlink *out, int protocol, struct error *err);
void netlink_close(struct netlink *netlink);

/* A message that came: its type, and its attributes after the family's header. */
typedef int netlink_heard(void *arg, uint16_t type, struct span attributes, struct error *err);

/*
 * Send what was built, all at once, and hear the answers until the message that was named is
 * acknowledged, or the dump that it began is over.  `heard` (may be NULL) gets every
 * other message; what it returns below 0 is returned.  The first refusal of the kernel comes
 * back as its errno; -EINTR when a dump has to be asked for again; -EMSGSIZE, -ENOBUFS.
 */
int netlink_talk(struct netlink *netlink, const struct buf *messages, netlink_heard *heard,
		 void *arg, struct error *err);

/*
 * Hear what comes unasked, of groups that the socket is a member of: as many messages as
 * come in one piece.  What `heard` returns below 0 is returned; -EAGAIN when there is none on
 * a socket that does not wait, -ENOBUFS when some are lost.
 */
int netlink_hear(struct netlink *netlink, netlink_heard *heard, void *arg);

#endif
