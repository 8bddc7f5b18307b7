/* SPDX-License-Identifier: MIT */
/* listening - which TCP sockets of this network namespace listen on some ports. */
#include "listening.h"

#include "patchers/base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	TCP_LISTEN = 0x0a,
	ANSWER_BYTES_MAX = 16384, /* a dump comes in pieces of no more than that when read so */
	ANSWERS_MAX = 64,
};

static void add(struct listening_ports ports, const struct listening_socket *found,
		struct listening *out)
{
	for (size_t i = 0; i < ports.n; i++)
		if (ports.items[i] == found->port) {
			if (out->n < LISTENING_MAX)
				out->items[out->n++] = *found;
			return;
		}
}

/* ---- sock_diag(7) ---- */

/* For all listeners, or those of one port: the kernel chooses by no more than one. */
static bool ask(int fd, int family, struct listening_ports ports)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} question = {
		.header = { .nlmsg_len = sizeof(question),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = (unsigned char)family,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_states = 1U << TCP_LISTEN,
			     .id = { .idiag_sport = ports.n == 1 ? htons(ports.items[0]) : 0 } },
	};

	return send(fd, &question, sizeof(question), 0) == sizeof(question);
}

static void take(const struct inet_diag_msg *told, struct listening_ports ports,
		 struct listening *out)
{
	struct listening_socket found = {
		.inode = told->idiag_inode,
		.user = told->idiag_uid,
		.family = told->idiag_family,
		.port = ntohs(told->id.idiag_sport),
	};

	if (told->idiag_state != TCP_LISTEN ||
	    (found.family != AF_INET && found.family != AF_INET6))
		return;
	memcpy(found.address, told->id.idiag_src, found.family == AF_INET6 ? 16 : 4);
	add(ports, &found, out);
}

/* 1 when the last message was among them, 0 when more are to come, -1: refused. */
static int take_all(struct nlmsghdr *message, size_t n, struct listening_ports ports,
		    struct listening *out)
{
	for (; NLMSG_OK(message, n); message = NLMSG_NEXT(message, n)) {
		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
		    message->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			return -1; /* NLMSG_ERROR: no such module, say */
		take(NLMSG_DATA(message), ports, out);
		if (NLMSG_ALIGN(message->nlmsg_len) >= n)
			return 0; /* NLMSG_NEXT() would count below zero */
	}
	return 0;
}

static bool hear(int fd, struct listening_ports ports, struct listening *out)
{
	union {
		struct nlmsghdr first;
		char bytes[ANSWER_BYTES_MAX];
	} answer;
	int rc = 0;

	for (int i = 0; i < ANSWERS_MAX && rc == 0; i++) {
		ssize_t n = recv(fd, &answer, sizeof(answer), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		rc = take_all(&answer.first, (size_t)n, ports, out);
	}
	return rc == 1;
}

bool listening_find_by_diag(struct listening_ports ports, struct listening *out)
{
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	out->n = 0;
	/* One after the other: a dump that is not heard to its end makes the next one wait. */
	return fd >= 0 && ask(fd, AF_INET, ports) && hear(fd, ports, out) &&
	       ask(fd, AF_INET6, ports) && hear(fd, ports, out);
}

/* ---- proc(5) ---- */

/* An address of /proc/net: 32-bit words of network bytes, printed as numbers. */
static bool parse_address(const char *hex, struct listening_socket *out)
{
	size_t words = strlen(hex) / 8;

	if (words != 1 && words != 4)
		return false;
	out->family = words == 4 ? AF_INET6 : AF_INET;
	for (size_t i = 0; i < words; i++) {
		unsigned word;

		if (sscanf(hex + i * 8, "%8x", &word) != 1)
			return false;
		memcpy(out->address + i * 4, &word, 4);
	}
	return true;
}

static bool read_table(const char *path, struct listening_ports ports, struct listening *out)
{
	cleanup_file FILE *file = fopen(path, "re");
	char line[512];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		struct listening_socket found = { 0 };
		unsigned local_port, state;
		char hex[33];

		if (sscanf(line,
			   " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %u %*u %lu",
			   hex, &local_port, &state, &found.user, &found.inode) != 5 ||
		    state != TCP_LISTEN || !parse_address(hex, &found))
			continue;
		found.port = (uint16_t)local_port;
		add(ports, &found, out);
	}
	return true;
}

bool listening_find_by_proc(struct listening_ports ports, struct listening *out)
{
	bool ipv4, ipv6;

	out->n = 0;
	ipv4 = read_table("/proc/net/tcp", ports, out);
	ipv6 = read_table("/proc/net/tcp6", ports, out); /* is not there without IPv6 */
	return ipv4 || ipv6;
}

void listening_find(struct listening_ports ports, struct listening *out)
{
	if (!listening_find_by_diag(ports, out))
		listening_find_by_proc(ports, out);
}
