/* SPDX-License-Identifier: MIT */
/* ports - whether a server could listen on a port, before it tries. */
#include "ports.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LISTENERS_MAX = 64, TCP_LISTEN = 0x0a };

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

/* A socket that listens on the port. */
struct listener {
	unsigned long inode;
	int family;
	unsigned char address[16]; /* network byte order */
	bool is_owners;
};

struct listeners {
	struct listener items[LISTENERS_MAX];
	size_t n;
};

/* An address of /proc/net: 32-bit words of network bytes, printed as numbers. */
static bool parse_address(const char *hex, struct listener *out)
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

/* Sockets that listen on the port: proc(5), /proc/net/tcp and tcp6. */
static void find_listening(const char *path, uint16_t port, struct listeners *out)
{
	FILE *file = fopen(path, "re");
	char line[512];

	if (!file)
		return;
	while (out->n < LISTENERS_MAX && fgets(line, sizeof(line), file)) {
		struct listener found = { 0 };
		unsigned local_port, state;
		char hex[33];

		if (sscanf(line,
			   " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
			   hex, &local_port, &state, &found.inode) == 4 &&
		    local_port == port && state == TCP_LISTEN && parse_address(hex, &found))
			out->items[out->n++] = found;
	}
	fclose(file);
}

static struct listeners find_all_listening(uint16_t port)
{
	struct listeners all = { .n = 0 };

	find_listening("/proc/net/tcp", port, &all);
	find_listening("/proc/net/tcp6", port, &all);
	return all;
}

/* Which of the sockets a process holds; whether any. */
static bool find_held(const char *pid, const struct listeners *listeners, bool held[LISTENERS_MAX])
{
	char path[64], link[64];
	struct dirent *entry;
	bool any = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		unsigned long inode;

		if (n <= 0)
			continue;
		link[n] = '\0';
		if (sscanf(link, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < listeners->n; i++)
			if (listeners->items[i].inode == inode)
				any = held[i] = true;
	}
	if (dir)
		closedir(dir);
	return any;
}

static void mark_owners(struct listeners *listeners, pid_t owner)
{
	bool held[LISTENERS_MAX] = { false };
	char pid[24];

	snprintf(pid, sizeof(pid), "%d", (int)owner);
	if (owner <= 0 || !find_held(pid, listeners, held))
		return;
	for (size_t i = 0; i < listeners->n; i++)
		listeners->items[i].is_owners = held[i];
}

/* "process 123 (nc)" of the first process that holds one of the sockets. */
static void describe_holder(const struct listeners *listeners, char *out, size_t size)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	snprintf(out, size, "another program");
	while (proc && (entry = readdir(proc))) {
		bool held[LISTENERS_MAX] = { false };
		char path[64], comm[64] = "?";
		FILE *file;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !find_held(entry->d_name, listeners, held))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file) {
			if (fgets(comm, sizeof(comm), file))
				comm[strcspn(comm, "\n")] = '\0';
			fclose(file);
		}
		snprintf(out, size, "process %.20s (%s)", entry->d_name, comm);
		break;
	}
	if (proc)
		closedir(proc);
}

/* Whether an address of the family ("" for all) is one that the socket has. */
static bool stands_in_the_way(const struct listener *l, int family, const char *address)
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
static bool find_foreign(const struct listeners *all, int family, const char *address,
			 struct listeners *out)
{
	bool any_own = false;

	out->n = 0;
	for (size_t i = 0; i < all->n; i++) {
		const struct listener *l = &all->items[i];

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
	struct listeners all, foreign;
	int rc = try_bind(family, address, port);
	char holder[128];

	if (rc == 0)
		return 0;
	if (rc != -EADDRINUSE)
		return error_code(err, rc, "port %u%s%s cannot be bound", port,
				  address[0] ? " on " : "", address);
	all = find_all_listening(port);
	mark_owners(&all, owner);
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

bool ports_is_open(uint16_t port, pid_t owner)
{
	struct listeners all = find_all_listening(port);
	bool held[LISTENERS_MAX] = { false };
	char pid[24];

	snprintf(pid, sizeof(pid), "%d", (int)owner);
	return find_held(pid, &all, held);
}

/* Which of two sockets to speak to: IPv4 before IPv6, every address before one. */
static int rank_of(const struct listener *l)
{
	static const unsigned char any[16];
	bool is_any = memcmp(l->address, any, sizeof(l->address)) == 0;

	return (l->family == AF_INET ? 2 : 1) + (is_any ? 2 : 0);
}

bool ports_find_address(uint16_t port, pid_t owner, char out[PORTS_ADDRESS_MAX])
{
	struct listeners all = find_all_listening(port);
	const struct listener *best = NULL;

	mark_owners(&all, owner);
	for (size_t i = 0; i < all.n; i++)
		if (all.items[i].is_owners && (!best || rank_of(&all.items[i]) > rank_of(best)))
			best = &all.items[i];
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
