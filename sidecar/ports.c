/* SPDX-License-Identifier: MIT */
/* ports - whether a server could listen on a port, before it tries. */
#include "ports.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/*
 * With SO_REUSEADDR, as a server binds: what lingers in TIME_WAIT does not
 * count.  Never with SO_REUSEPORT, which would share a foreign socket's port.
 */
static int try_bind(int family, const char *address, uint16_t port)
{
	cleanup_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, rc;

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		if (address[0] && inet_pton(AF_INET6, address, &ipv6.sin6_addr) != 1)
			return 0;
		rc = bind(fd, (struct sockaddr *)&ipv6, sizeof(ipv6));
	} else {
		if (address[0] && inet_pton(AF_INET, address, &ipv4.sin_addr) != 1)
			return 0;
		rc = bind(fd, (struct sockaddr *)&ipv4, sizeof(ipv4));
	}
	/* No IPv6 on this host: the servers do without, too. */
	if (rc < 0 && errno == EADDRNOTAVAIL && family == AF_INET6 && !address[0])
		return 0;
	return rc < 0 ? -errno : 0;
}

/* Which of the sockets a process holds: 1 some, 0 none, -EACCES: that is not told. */
static int find_held(pid_t pid, const struct listening *listeners, bool held[LISTENING_MAX])
{
	char path[PROCESS_PATH_MAX], link[64];
	struct dirent *entry;
	int rc = 0;
	DIR *dir;

	dir = opendir(process_path(pid, "fd", path));
	if (!dir)
		return errno == EACCES ? -EACCES : 0;
	while (rc >= 0 && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		unsigned long inode;

		if (n < 0 && errno == EACCES)
			rc = -EACCES;
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (sscanf(link, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < listeners->n; i++)
			if (listeners->items[i].inode == inode) {
				held[i] = true;
				rc = 1;
			}
	}
	closedir(dir);
	return rc;
}

static bool is_child_of(pid_t pid, pid_t parent)
{
	struct process_stat stat;

	return process_read_stat(pid, &stat) == 0 && stat.parent == parent;
}

/*
 * Without CAP_SYS_PTRACE nobody is told what Postfix's master holds (see
 * process.h).  A socket of its user that no other process is seen to hold, but
 * for its own children, is taken for its own.
 */
static bool find_by_exclusion(const struct listening *listeners, pid_t owner,
			      bool held[LISTENING_MAX])
{
	CLEANUP(process_walk_release) struct process_walk walk = PROCESS_WALK_INIT;
	bool any = false;
	uid_t user;
	pid_t pid;

	if (process_users(owner, &user, NULL) <= 0 || process_walk_init(&walk, NULL) < 0)
		return false;
	for (size_t i = 0; i < listeners->n; i++)
		held[i] = listeners->items[i].user == user;
	while ((pid = process_walk_next(&walk)) > 0) {
		bool others[LISTENING_MAX] = { false };

		if (pid == owner || find_held(pid, listeners, others) != 1 ||
		    is_child_of(pid, owner))
			continue;
		for (size_t i = 0; i < listeners->n; i++)
			held[i] = held[i] && !others[i];
	}
	for (size_t i = 0; i < listeners->n; i++)
		any = any || held[i];
	return any;
}

static void mark_owners(struct listening *listeners, pid_t owner)
{
	bool held[LISTENING_MAX] = { false };
	bool any;
	int rc;

	if (owner <= 0 || listeners->n == 0)
		return;
	rc = find_held(owner, listeners, held);
	any = rc == -EACCES ? find_by_exclusion(listeners, owner, held) : rc == 1;
	for (size_t i = 0; i < listeners->n && any; i++)
		listeners->items[i].is_owners = held[i];
}

void ports_look(const uint16_t *ports, size_t n_ports, pid_t owner, struct listening *out)
{
	listening_find((struct listening_ports){ .items = ports, .n = n_ports }, out);
	mark_owners(out, owner);
}

uint16_t ports_find_held(const uint16_t *ports, size_t n_ports, const char *const *programs)
{
	CLEANUP(process_walk_release) struct process_walk walk = PROCESS_WALK_INIT;
	bool others[LISTENING_MAX] = { false };
	struct listening all;
	pid_t pid;

	listening_find((struct listening_ports){ .items = ports, .n = n_ports }, &all);
	if (all.n > 0 && process_walk_init(&walk, NULL) < 0)
		return all.items[0].port;
	while (all.n > 0 && (pid = process_walk_next(&walk)) > 0) {
		bool held[LISTENING_MAX] = { false };
		bool is_theirs =
			find_held(pid, &all, held) == 1 && process_may_run_one_of(pid, programs);

		for (size_t i = 0; i < all.n; i++) {
			if (held[i] && is_theirs)
				return all.items[i].port;
			others[i] = others[i] || held[i];
		}
	}
	for (size_t i = 0; i < all.n; i++)
		if (!others[i])
			return all.items[i].port;
	return 0;
}

/* "process 123 (nc)" of the first process that holds one of the sockets. */
static void describe_holder(const struct listening *listeners, char *out, size_t size)
{
	CLEANUP(process_walk_release) struct process_walk walk = PROCESS_WALK_INIT;
	pid_t pid;

	snprintf(out, size, "another program");
	if (process_walk_init(&walk, NULL) < 0)
		return;
	while ((pid = process_walk_next(&walk)) > 0) {
		bool held[LISTENING_MAX] = { false };
		char name[PROCESS_NAME_BYTES] = "?";

		if (find_held(pid, listeners, held) != 1)
			continue;
		(void)process_name(pid, name);
		snprintf(out, size, "process %d (%s)", (int)pid, name);
		return;
	}
}

/* Whether an address of the family ("" for all) is one that the socket has. */
static bool stands_in_the_way(const struct listening_socket *l, int family, const char *address)
{
	static const unsigned char any[16];
	unsigned char wanted[16] = { 0 };
	size_t size = family == AF_INET6 ? 16 : 4;

	if (l->family != family)
		return false;
	if (!address[0] || inet_pton(family, address, wanted) != 1)
		return true;
	return memcmp(wanted, any, size) == 0 || memcmp(l->address, any, size) == 0 ||
	       memcmp(l->address, wanted, size) == 0;
}

/*
 * Of the sockets that keep an address of the family from being bound, those
 * that are not the owner's.  True when the owner holds all of them.
 */
static bool find_foreign(const struct listening *all, int family, const char *address,
			 struct listening *out)
{
	bool any_own = false;

	out->n = 0;
	for (size_t i = 0; i < all->n; i++) {
		const struct listening_socket *l = &all->items[i];

		if (!stands_in_the_way(l, family, address))
			continue;
		any_own = any_own || l->is_owners;
		if (!l->is_owners)
			out->items[out->n++] = *l;
	}
	/* An IPv6 socket may have taken IPv4 along. */
	if (family == AF_INET && !any_own && out->n == 0)
		return find_foreign(all, AF_INET6, "", out);
	return any_own && out->n == 0;
}

static int check_family(int family, const char *address, uint16_t port, pid_t owner,
			struct error *err)
{
	struct listening all, foreign;
	int rc = try_bind(family, address, port);
	char holder[128];

	if (rc == 0)
		return 0;
	if (rc != -EADDRINUSE)
		return error_code(err, rc, "port %u%s%s cannot be bound", port,
				  address[0] ? " on " : "", address);
	ports_look(&port, 1, owner, &all);
	if (find_foreign(&all, family, address, &foreign))
		return 0;
	describe_holder(&foreign, holder, sizeof(holder));
	return error_set(err, -EADDRINUSE, "port %u%s%s is taken by %s", port,
			 address[0] ? " on " : "", address, holder);
}

int ports_check(const char *address, uint16_t port, pid_t owner, struct error *err)
{
	int rc = check_family(AF_INET, address, port, owner, err);

	return rc == 0 ? check_family(AF_INET6, address, port, owner, err) : rc;
}

bool ports_was_open(const struct listening *seen, uint16_t port)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->items[i].is_owners && seen->items[i].port == port)
			return true;
	return false;
}

/* Which of two sockets to speak to: IPv4 before IPv6, every address before one. */
static int rank_of(const struct listening_socket *l)
{
	static const unsigned char any[16];
	bool is_any = memcmp(l->address, any, sizeof(l->address)) == 0;

	return (l->family == AF_INET ? 2 : 1) + (is_any ? 2 : 0);
}

bool ports_address_of(const struct listening *seen, uint16_t port, char out[PORTS_ADDRESS_MAX])
{
	const struct listening_socket *best = NULL;

	for (size_t i = 0; i < seen->n; i++) {
		const struct listening_socket *l = &seen->items[i];

		if (l->is_owners && l->port == port && (!best || rank_of(l) > rank_of(best)))
			best = l;
	}
	if (!best)
		return false;
	if (rank_of(best) == 4)
		out[0] = '\0';
	else if (rank_of(best) == 3)
		snprintf(out, PORTS_ADDRESS_MAX, "::1");
	else if (!inet_ntop(best->family, best->address, out, PORTS_ADDRESS_MAX))
		return false;
	return true;
}
