/* SPDX-License-Identifier: MIT */
/* ports - whether a server could listen, in a network of the test's own. */
#include "sandbox.h"

#include "sidecar/ports.h"
#include "sidecar/privileges.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PORT = 10587, NOBODY = 65534 };

enum holding {
	HOLDING_PLAIN,
	HOLDING_SHARED, /* SO_REUSEPORT */
	HOLDING_BOTH,   /* an IPv6 socket that takes IPv4 too */
};

static int listen_at(const char *address, uint16_t port, enum holding how)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_ipv6 = inet_pton(AF_INET, address, &ipv4.sin_addr) != 1;
	int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, only = how != HOLDING_BOTH;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (how == HOLDING_SHARED)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (is_ipv6) {
		assert_int_equal(inet_pton(AF_INET6, address, &ipv6.sin6_addr), 1);
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
		assert_int_equal(bind(fd, (struct sockaddr *)&ipv6, sizeof(ipv6)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&ipv4, sizeof(ipv4)), 0);
	}
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

struct holder {
	const char *address;
	enum holding how;
};

static void hold(void *ctx)
{
	const struct holder *h = ctx;

	listen_at(h->address, PORT, h->how);
	sandbox_ready();
	sandbox_linger(NULL);
}

static pid_t start_holder(const char *address, enum holding how)
{
	return sandbox_spawn_ready(hold, &(struct holder){ address, how });
}

static void assert_taken(const char *address, pid_t owner, pid_t holder)
{
	struct error err = { 0 };
	char name[64];

	assert_int_equal(ports_check(address, PORT, owner, &err), -EADDRINUSE);
	unit_assert_contains(span_from(err.msg), "10587");
	if (holder == 0)
		return;
	snprintf(name, sizeof(name), "process %d (test_ports)", (int)holder);
	unit_assert_contains(span_from(err.msg), name);
}

static void assert_free(const char *address, pid_t owner)
{
	struct error err = { 0 };
	int rc = ports_check(address, PORT, owner, &err);

	if (rc != 0)
		fail_msg("\"%s\": %s", address, err.msg);
}

static void a_free_port_is_free_on_every_address(void **state)
{
	static const char *const addresses[] = { "",        "127.0.0.1", "127.1.2.3",
						 "0.0.0.0", "::1",       "::" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_free(addresses[i], 0);
	/* and nothing of the question stays */
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_free(addresses[i], getpid());
}

static void a_port_of_another_program_is_taken_and_its_holder_named(void **state)
{
	static const struct {
		const char *address;
		enum holding how;
	} holders[] = {
		{ "0.0.0.0", HOLDING_PLAIN },  { "127.0.0.1", HOLDING_PLAIN },
		{ "0.0.0.0", HOLDING_SHARED }, { "::", HOLDING_PLAIN },
		{ "::", HOLDING_BOTH },        { "::1", HOLDING_PLAIN },
		{ "::1", HOLDING_SHARED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(holders); i++) {
		pid_t holder = start_holder(holders[i].address, holders[i].how);

		assert_taken("", 0, holder);
		assert_taken(holders[i].address, 0, holder);
		assert_taken("", getpid(), holder);
		sandbox_end(holder);
		assert_free("", 0);
	}
}

static void another_address_is_no_obstacle(void **state)
{
	pid_t holder = start_holder("127.0.0.1", HOLDING_PLAIN);

	(void)state;
	assert_free("127.0.0.2", 0);
	assert_free("::1", 0);
	assert_free("::", 0);
	sandbox_end(holder);
	holder = start_holder("::", HOLDING_PLAIN);
	assert_free("127.0.0.1", 0);
	assert_taken("::1", 0, holder);
	sandbox_end(holder);
}

static void the_servers_own_port_is_fine(void **state)
{
	static const char *const addresses[] = { "0.0.0.0", "::", "127.0.0.1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		int fd = listen_at(addresses[i], PORT, HOLDING_PLAIN);

		assert_free("", getpid());
		assert_free(addresses[i], getpid());
		assert_taken(addresses[i], 0, getpid());
		close(fd);
	}
}

/* The master holds its socket, and so do its children. */
static void a_port_that_the_owner_shares_with_its_children_is_fine(void **state)
{
	int fd = listen_at("0.0.0.0", PORT, HOLDING_PLAIN);
	pid_t child = sandbox_spawn(sandbox_linger, NULL);

	(void)state;
	assert_free("", getpid());
	sandbox_end(child);
	close(fd);
}

static void a_foreign_socket_beside_one_of_the_owners_is_an_obstacle(void **state)
{
	int fd = listen_at("127.0.0.1", PORT, HOLDING_PLAIN);
	pid_t holder = start_holder("127.0.0.2", HOLDING_PLAIN);

	(void)state;
	assert_free("127.0.0.1", getpid());
	assert_taken("127.0.0.2", getpid(), holder);
	assert_taken("", getpid(), holder);
	sandbox_end(holder);
	assert_free("", getpid());
	holder = start_holder("::", HOLDING_PLAIN);
	assert_taken("", getpid(), holder);
	assert_free("127.0.0.1", getpid());
	sandbox_end(holder);
	close(fd);
}

/* One look at several ports says of each what a look at it alone says. */
static void several_ports_are_looked_at_at_once(void **state)
{
	static const uint16_t ports[] = { PORT, PORT + 1, PORT + 2, PORT + 3 };
	pid_t holder = start_holder("127.0.0.1",
				    HOLDING_PLAIN); /* before there is what it would inherit */
	int first = listen_at("0.0.0.0", PORT + 1, HOLDING_PLAIN);
	int second = listen_at("::1", PORT + 2, HOLDING_PLAIN);
	char address[PORTS_ADDRESS_MAX];
	struct listening seen, alone;

	(void)state;
	ports_look(ports, ARRAY_SIZE(ports), getpid(), &seen);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_int_equal(ports_was_open(&seen, ports[i]), i == 1 || i == 2);
		ports_look(&ports[i], 1, getpid(), &alone);
		assert_int_equal(ports_was_open(&alone, ports[i]), i == 1 || i == 2);
		assert_int_equal(ports_address_of(&seen, ports[i], address), i == 1 || i == 2);
	}
	assert_true(ports_address_of(&seen, PORT + 1, address));
	assert_string_equal(address, "");
	assert_true(ports_address_of(&seen, PORT + 2, address));
	assert_string_equal(address, "::1");
	ports_look(ports, ARRAY_SIZE(ports), holder, &seen);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		assert_int_equal(ports_was_open(&seen, ports[i]), i == 0);
	ports_look(ports, ARRAY_SIZE(ports), 0, &seen);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		assert_false(ports_was_open(&seen, ports[i]));
	sandbox_end(holder);
	close(first);
	close(second);
}

static void who_holds_a_port_is_known_by_its_program(void **state)
{
	const uint16_t ports[] = { PORT - 1, PORT }, closed[] = { PORT - 1 };
	pid_t holder = start_holder("127.0.0.1", HOLDING_PLAIN);
	const char *ours[] = { "nobody-else", NULL, NULL }, *others[] = { "nobody-else", NULL };
	char path[64], program[PATH_MAX] = "";

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)holder);
	assert_true(readlink(path, program, sizeof(program) - 1) > 0);
	ours[1] = strrchr(program, '/') + 1;
	assert_int_equal(ports_find_held(ports, 2, ours), PORT);
	assert_int_equal(ports_find_held(ports, 2, others), 0);
	assert_int_equal(ports_find_held(closed, 1, ours), 0);
	assert_int_equal(ports_find_held(NULL, 0, ours), 0);
	sandbox_end(holder);
}

static void an_address_of_another_host_is_said(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(ports_check("192.0.2.1", PORT, 0, &err), -EADDRNOTAVAIL);
	unit_assert_contains(span_from(err.msg), "192.0.2.1");
	assert_int_equal(ports_check("2001:db8::1", PORT, 0, &err), -EADDRNOTAVAIL);
}

static void check_privileged_port(void *ctx)
{
	(void)ctx;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		_exit(1);
	_exit(ports_check("", 25, 0, NULL) == -EACCES ? 42 : 2);
}

static void a_privileged_port_needs_privilege(void **state)
{
	(void)state;
	assert_free("", 0);
	assert_int_equal(ports_check("", 25, 0, NULL), 0);
	assert_int_equal(sandbox_in_child(check_privileged_port, NULL), 42);
}

static void connections_that_linger_are_no_obstacle(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = listen_at("0.0.0.0", PORT, HOLDING_PLAIN);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;

	(void)state;
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	close(listener);
	assert_free("", 0); /* a live connection of a listener that went */
	close(server);
	close(client);
	assert_free("", 0); /* and TIME_WAIT */
}

/* ---- without the privilege to look ---- */

enum becoming {
	STAYING,         /* root, with everything: closed to who has less */
	BECOMING_HUMBLE, /* root, without privileges: open to its like */
	BECOMING_NOBODY, /* another user */
	BECOMING_PARENT, /* of a humble one that has its sockets, too */
	HOLDING_NOTHING,
};

static void be_humble(void *unused)
{
	(void)unused;
	if (privileges_keep(NULL, 0, false, NULL) < 0)
		_exit(1);
	sandbox_ready();
	sandbox_linger(NULL);
}

static void live_as(void *ctx)
{
	const enum becoming becoming = *(const enum becoming *)ctx;

	if (becoming == BECOMING_HUMBLE && privileges_keep(NULL, 0, false, NULL) < 0)
		_exit(1);
	if (becoming == BECOMING_NOBODY && setuid(NOBODY) < 0)
		_exit(1);
	if (becoming != HOLDING_NOTHING)
		listen_at("0.0.0.0", PORT, HOLDING_PLAIN);
	if (becoming == BECOMING_PARENT)
		sandbox_spawn_ready(be_humble, NULL);
	sandbox_ready();
	sandbox_linger(NULL);
}

static pid_t start_member(enum becoming becoming)
{
	return sandbox_spawn_ready(live_as, &becoming);
}

static void end_member(pid_t pid)
{
	sandbox_end(pid);
	for (int i = 0; i < 5000 && ports_check("", PORT, 0, NULL) != 0; i++)
		usleep(1000); /* its child ends after it */
	assert_free("", 0);
}

static void ask_humbly(void *ctx)
{
	static const uint16_t port = PORT;
	const pid_t *owner = ctx;
	char address[PORTS_ADDRESS_MAX];
	struct listening seen;
	bool open;

	if (privileges_keep(NULL, 0, false, NULL) < 0)
		_exit(99);
	ports_look(&port, 1, *owner, &seen);
	open = ports_was_open(&seen, PORT);
	if (open != (ports_check("", PORT, *owner, NULL) == 0) ||
	    open != ports_address_of(&seen, PORT, address))
		_exit(98);
	_exit(open);
}

/* As in a container with an engine's usual capabilities, where nobody may look at Postfix. */
static void a_hidden_owners_socket_is_the_one_that_nobody_else_holds(void **state)
{
	static const enum becoming own[] = { STAYING, BECOMING_PARENT };
	static const enum becoming foreign[] = { BECOMING_HUMBLE, BECOMING_NOBODY };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		pid_t owner = start_member(own[i]);

		assert_int_equal(sandbox_in_child(ask_humbly, &owner), 1);
		end_member(owner);
	}
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		pid_t owner = start_member(HOLDING_NOTHING), other = start_member(foreign[i]);

		assert_int_equal(sandbox_in_child(ask_humbly, &owner), 0);
		sandbox_end(owner);
		end_member(other);
	}
}

/* Last: it cannot be undone here. */
static void without_ipv6_the_servers_do_without_too(void **state)
{
	cleanup_fd int fd = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(write(fd, "1", 1), 1);
	assert_free("", 0);
	assert_free("127.0.0.1", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_free_port_is_free_on_every_address),
		cmocka_unit_test(a_port_of_another_program_is_taken_and_its_holder_named),
		cmocka_unit_test(another_address_is_no_obstacle),
		cmocka_unit_test(the_servers_own_port_is_fine),
		cmocka_unit_test(a_port_that_the_owner_shares_with_its_children_is_fine),
		cmocka_unit_test(a_foreign_socket_beside_one_of_the_owners_is_an_obstacle),
		cmocka_unit_test(several_ports_are_looked_at_at_once),
		cmocka_unit_test(who_holds_a_port_is_known_by_its_program),
		cmocka_unit_test(an_address_of_another_host_is_said),
		cmocka_unit_test(a_privileged_port_needs_privilege),
		cmocka_unit_test(connections_that_linger_are_no_obstacle),
		cmocka_unit_test(a_hidden_owners_socket_is_the_one_that_nobody_else_holds),
		cmocka_unit_test(without_ipv6_the_servers_do_without_too),
	};

	sandbox_enter_private_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
