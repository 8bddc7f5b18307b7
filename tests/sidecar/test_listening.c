/* SPDX-License-Identifier: MIT */
/* listening - what listens, told in two ways, in a network of the test's own. */
#include "sandbox.h"

#include "sidecar/listening.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { PORT = 10587, OTHER_PORT = 10465, FREE_PORT = 10143, MANY = LISTENING_MAX + 44 };

static const uint16_t both_ports[] = { PORT, OTHER_PORT, FREE_PORT };
static const struct listening_ports both = { both_ports, ARRAY_SIZE(both_ports) };
static const struct listening_ports one = { both_ports, 1 };

static int make_socket(const char *address, uint16_t port)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_ipv6 = inet_pton(AF_INET, address, &ipv4.sin_addr) != 1;
	int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (is_ipv6) {
		assert_int_equal(inet_pton(AF_INET6, address, &ipv6.sin6_addr), 1);
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		assert_int_equal(bind(fd, (struct sockaddr *)&ipv6, sizeof(ipv6)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&ipv4, sizeof(ipv4)), 0);
	}
	return fd;
}

static int listen_at(const char *address, uint16_t port)
{
	int fd = make_socket(address, port);

	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static const struct listening_socket *find(const struct listening *all, int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].inode == st.st_ino)
			return &all->items[i];
	return NULL;
}

/* Both ways tell the same, in whatever order. */
static void assert_same(const struct listening *a, const struct listening *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		size_t k = 0;

		while (k < b->n && b->items[k].inode != a->items[i].inode)
			k++;
		assert_true(k < b->n);
		assert_int_equal(a->items[i].user, b->items[k].user);
		assert_int_equal(a->items[i].family, b->items[k].family);
		assert_int_equal(a->items[i].port, b->items[k].port);
		assert_memory_equal(a->items[i].address, b->items[k].address,
				    sizeof(a->items[i].address));
	}
}

static void look_both_ways(struct listening_ports ports, struct listening *out)
{
	struct listening by_proc;

	assert_true(listening_find_by_diag(ports, out));
	assert_true(listening_find_by_proc(ports, &by_proc));
	assert_same(out, &by_proc);
}

static void both_ways_tell_the_same(void **state)
{
	static const char *const addresses[] = { "0.0.0.0", "127.0.0.1", "127.1.2.3",
						 "::",      "::1",       "127.0.0.1" };
	int fds[ARRAY_SIZE(addresses)], other = listen_at("127.0.0.1", OTHER_PORT);
	struct listening all;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		fds[i] = listen_at(addresses[i], PORT);
	look_both_ways(both, &all);
	assert_int_equal(all.n, ARRAY_SIZE(addresses) + 1);
	look_both_ways(one, &all);
	assert_int_equal(all.n, ARRAY_SIZE(addresses));
	assert_null(find(&all, other));
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		const struct listening_socket *l = find(&all, fds[i]);
		char text[INET6_ADDRSTRLEN];

		assert_non_null(l);
		assert_int_equal(l->port, PORT);
		assert_int_equal(l->user, getuid());
		assert_string_equal(inet_ntop(l->family, l->address, text, sizeof(text)),
				    addresses[i]);
		close(fds[i]);
	}
	close(other);
	look_both_ways(both, &all);
	assert_int_equal(all.n, 0);
}

static void what_does_not_listen_is_left_out(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int bound = make_socket("127.0.0.1", OTHER_PORT), listener = listen_at("127.0.0.1", PORT);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;
	struct listening all;

	(void)state;
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	look_both_ways(both, &all);
	assert_int_equal(all.n, 1);
	assert_non_null(find(&all, listener));
	close(listener);
	look_both_ways(both, &all);
	assert_int_equal(all.n, 0);
	close(server);
	close(client);
	close(bound);
}

/* More than one answer of the kernel's holds, and than we keep. */
static void what_is_beyond_the_limit_is_left_out(void **state)
{
	int fds[MANY];
	struct listening all;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		fds[i] = listen_at("127.0.0.1", PORT);
	listening_find(both, &all);
	assert_int_equal(all.n, LISTENING_MAX);
	assert_true(listening_find_by_proc(both, &all));
	assert_int_equal(all.n, LISTENING_MAX);
	for (size_t i = 0; i < MANY; i++)
		close(fds[i]);
}

/* A filter under which there are no netlink sockets. */
static void forbid_netlink(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(rules), .filter = rules };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(1);
}

static void find_without_netlink(void *ctx)
{
	struct listening all;

	(void)ctx;
	forbid_netlink();
	if (listening_find_by_diag(both, &all))
		_exit(2);
	listening_find(both, &all);
	_exit(all.n == 1 && all.items[0].port == PORT ? 42 : 3);
}

static void where_sock_diag_is_forbidden_proc_tells(void **state)
{
	int fd = listen_at("127.0.0.1", PORT);

	(void)state;
	assert_int_equal(sandbox_in_child(find_without_netlink, NULL), 42);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_tell_the_same),
		cmocka_unit_test(what_does_not_listen_is_left_out),
		cmocka_unit_test(what_is_beyond_the_limit_is_left_out),
		cmocka_unit_test(where_sock_diag_is_forbidden_proc_tells),
	};

	sandbox_enter_private_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
