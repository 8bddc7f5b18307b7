/* SPDX-License-Identifier: MIT */
/* resolver - addresses by the file of hosts and by a name server, in a network of its own. */
#include "sandbox.h"

#include "sidecar/resolver.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

/* A limit that is not reached, one that is, and one within which the others have answered. */
enum { LONG_MS = 20000, SHORT_MS = 400, ENOUGH_MS = 3000, DNS_PORT = 53, HEADER_BYTES = 12 };
enum { TYPE_A = 1, TYPE_AAAA = 28, RCODE_SERVER_FAILURE = 2, RCODE_NAME_ERROR = 3 };

/* ---- a name server ---- */

/* What is known of a name; a type without addresses is NODATA. */
static const struct record {
	const char *name;
	const char *ipv4[3], *ipv6[3];
	int rcode_ipv4, rcode_ipv6; /* -1: no answer */
} zone[] = {
	{ "both.test", { "192.0.2.1", "192.0.2.2" }, { "2001:db8::1" }, 0, 0 },
	{ "four.test", { "192.0.2.4" }, { NULL }, 0, 0 },
	{ "six.test", { NULL }, { "2001:db8::6" }, 0, 0 },
	{ "bare.test", { NULL }, { NULL }, 0, 0 },
	{ "silent.test", { NULL }, { NULL }, -1, -1 },
	{ "half.test", { "192.0.2.5" }, { NULL }, 0, -1 },
	{ "dms.mail.svc.cluster.test", { "10.43.0.1" }, { NULL }, 0, 0 },
	{ "ill.good.test", { NULL }, { NULL }, RCODE_SERVER_FAILURE, RCODE_SERVER_FAILURE },
	{ "ill.wild.test", { "192.0.2.66" }, { NULL }, 0, 0 },
	{ "dms.wild.test", { "192.0.2.66" }, { "2001:db8::66" }, 0, 0 },
};

static size_t read_question(const unsigned char *query, size_t n, char *name, size_t size)
{
	size_t at = HEADER_BYTES, length = 0;

	while (at < n && query[at] != 0 && at + 1 + query[at] < n &&
	       length + 1 + query[at] < size) {
		if (length > 0)
			name[length++] = '.';
		memcpy(name + length, query + at + 1, query[at]);
		length += query[at];
		at += 1 + (size_t)query[at];
	}
	name[length] = '\0';
	return at + 5; /* the root's label, type and class */
}

static size_t add_answer(unsigned char *at, int type, const char *address)
{
	const unsigned char fixed[] = { 0xc0, HEADER_BYTES, 0, (unsigned char)type,    0, 1, 0, 0,
					0,    60,           0, type == TYPE_A ? 4 : 16 };

	memcpy(at, fixed, sizeof(fixed));
	inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, at + sizeof(fixed));
	return sizeof(fixed) + fixed[11];
}

/* The answer's bytes in place of the query's; 0 for none. */
static size_t answer(unsigned char *packet, size_t n)
{
	char name[256];
	size_t end = read_question(packet, n, name, sizeof(name));
	int type = packet[end - 3], rcode = RCODE_NAME_ERROR;
	const char *const *addresses = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(zone); i++) {
		if (strcmp(zone[i].name, name) != 0)
			continue;
		addresses = type == TYPE_A ? zone[i].ipv4 : zone[i].ipv6;
		rcode = type == TYPE_A ? zone[i].rcode_ipv4 : zone[i].rcode_ipv6;
	}
	if (rcode < 0)
		return 0;
	packet[2] = 0x85;
	packet[3] = (unsigned char)(0x80 | rcode);
	memset(packet + 6, 0, 6);
	for (; addresses && *addresses; addresses++, packet[7]++)
		end += add_answer(packet + end, type, *addresses);
	return end;
}

static void serve_names(void *unused)
{
	const struct sockaddr_in own = { .sin_family = AF_INET,
					 .sin_port = htons(DNS_PORT),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	if (fd < 0 || bind(fd, (const struct sockaddr *)&own, sizeof(own)) < 0)
		_exit(1);
	sandbox_ready();
	for (;;) {
		unsigned char packet[1500];
		struct sockaddr_in peer;
		socklen_t size = sizeof(peer);
		ssize_t n = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&peer, &size);
		size_t length = n > HEADER_BYTES + 5 ? answer(packet, (size_t)n) : 0;

		if (length > 0)
			sendto(fd, packet, length, 0, (struct sockaddr *)&peer, size);
	}
}

/* ---- */

#define SERVER "nameserver 127.0.0.1\n"
#define POD SERVER "search mail.svc.cluster.test svc.cluster.test wild.test\noptions ndots:5\n"

static struct resolver_files files_of(const struct sandbox *s, const char *resolv_conf,
				      const char *hosts)
{
	sandbox_write(s, "/resolv.conf", resolv_conf);
	sandbox_write(s, "/hosts", hosts);
	return (struct resolver_files){ sandbox_path(s, "/resolv.conf"),
					sandbox_path(s, "/hosts") };
}

/* Its addresses with a blank between, or "!" and the reason. */
static void assert_found(const struct resolver_name *name, const char *wanted)
{
	cleanup_buf struct buf found = BUF_INIT;

	for (size_t i = 0; i < name->n_addresses; i++)
		buf_add_format(&found, "%s%s", i > 0 ? " " : "", name->addresses[i]);
	if (name->n_addresses == 0)
		buf_add_format(&found, "!%s", name->reason);
	if (wanted[0] == '!')
		unit_assert_contains(buf_span(&found), wanted);
	else
		assert_string_equal(buf_text(&found), wanted);
}

static void find(const struct resolver_files *files, const char *text, int limit_ms,
		 const char *wanted)
{
	struct resolver_name name = { .name = text, .n_addresses = 7, .reason = "of before" };

	assert_int_equal(resolver_run(files, &name, 1, limit_ms, NULL), 0);
	assert_found(&name, wanted);
}

static void an_address_stands_for_itself(void **state)
{
	const struct resolver_files none = { "/nonexistent", "/nonexistent" };

	(void)state;
	find(&none, "192.0.2.1", LONG_MS, "192.0.2.1");
	find(&none, "2001:DB8::1", LONG_MS, "2001:db8::1");
}

static void the_file_of_hosts_comes_first(void **state)
{
	struct resolver_files files =
		files_of(*state, POD, "192.0.2.9 both.test alias # rest\n2001:db8::9\tboth.test\n");

	find(&files, "both.test", LONG_MS, "192.0.2.9 2001:db8::9");
	find(&files, "BOTH.test", LONG_MS, "192.0.2.9 2001:db8::9");
	find(&files, "both.test.", LONG_MS, "192.0.2.9 2001:db8::9");
	find(&files, "alias", LONG_MS, "192.0.2.9");
	find(&files, "rest", LONG_MS, "!there is no such name");
}

static void both_kinds_of_address_are_asked_for(void **state)
{
	struct resolver_files files = files_of(*state, SERVER, "");

	find(&files, "both.test", LONG_MS, "192.0.2.1 192.0.2.2 2001:db8::1");
	find(&files, "four.test", LONG_MS, "192.0.2.4");
	find(&files, "six.test", LONG_MS, "2001:db8::6");
	find(&files, "six.test.", LONG_MS, "2001:db8::6");
}

static void what_has_no_address_is_said(void **state)
{
	struct resolver_files files = files_of(*state, SERVER, "");

	find(&files, "bare.test", LONG_MS, "!there is no such name, or it has no address");
	find(&files, "nosuch.test", LONG_MS, "!there is no such name");
}

static void a_short_name_is_looked_for_in_the_domains(void **state)
{
	struct resolver_files files = files_of(*state, POD, "");

	/* not with the IPv6 address of a later domain */
	find(&files, "dms", LONG_MS, "10.43.0.1");
	find(&files, "dms.mail.svc.cluster.test", LONG_MS, "10.43.0.1");
	find(&files, "dms.", LONG_MS, "!there is no such name");
	files = files_of(*state, SERVER "search wild.test mail.svc.cluster.test\n", "");
	find(&files, "dms", LONG_MS, "192.0.2.66 2001:db8::66");
}

static void a_server_that_does_not_answer_has_its_time_and_no_more(void **state)
{
	struct resolver_files files = files_of(*state, SERVER, "");
	long start = sandbox_now_ms();

	find(&files, "silent.test", SHORT_MS, "!the name servers did not answer in time");
	assert_in_range(sandbox_now_ms() - start, SHORT_MS - 5, SHORT_MS + 5000);
	files = files_of(*state, "nameserver 127.0.0.2\n", "");
	find(&files, "both.test", SHORT_MS, "!the name servers did not answer in time");
}

static void one_kind_of_address_alone_is_not_passed_off_as_all(void **state)
{
	struct resolver_files files = files_of(*state, SERVER "options timeout:1 attempts:1\n", "");

	find(&files, "half.test", SHORT_MS, "!the name servers did not answer in time");
	find(&files, "half.test", LONG_MS, "!only one kind of its addresses");
}

static void a_domain_whose_server_fails_is_not_passed_over_for_the_next(void **state)
{
	struct resolver_files files = files_of(
		*state, SERVER "search good.test wild.test\noptions timeout:1 attempts:1\n", "");

	find(&files, "ill", LONG_MS, "!the name servers have no answer: ");
}

static void names_are_looked_for_at_once(void **state)
{
	struct resolver_files files = files_of(*state, SERVER, "192.0.2.9 local\n");
	struct resolver_name names[] = { { .name = "silent.test" },
					 { .name = "both.test" },
					 { .name = "192.0.2.1" },
					 { .name = "local" },
					 { .name = "nosuch.test" } };

	assert_int_equal(resolver_run(&files, names, ARRAY_SIZE(names), ENOUGH_MS, NULL), 0);
	assert_found(&names[0], "!the name servers did not answer in time");
	assert_found(&names[1], "192.0.2.1 192.0.2.2 2001:db8::1");
	assert_found(&names[2], "192.0.2.1");
	assert_found(&names[3], "192.0.2.9");
	assert_found(&names[4], "!there is no such name");
	assert_int_equal(resolver_run(&files, names, 0, SHORT_MS, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_stands_for_itself),
		cmocka_unit_test_setup_teardown(the_file_of_hosts_comes_first, sandbox_set_up,
						sandbox_tear_down),
		cmocka_unit_test_setup_teardown(both_kinds_of_address_are_asked_for, sandbox_set_up,
						sandbox_tear_down),
		cmocka_unit_test_setup_teardown(what_has_no_address_is_said, sandbox_set_up,
						sandbox_tear_down),
		cmocka_unit_test_setup_teardown(a_short_name_is_looked_for_in_the_domains,
						sandbox_set_up, sandbox_tear_down),
		cmocka_unit_test_setup_teardown(
			a_server_that_does_not_answer_has_its_time_and_no_more, sandbox_set_up,
			sandbox_tear_down),
		cmocka_unit_test_setup_teardown(one_kind_of_address_alone_is_not_passed_off_as_all,
						sandbox_set_up, sandbox_tear_down),
		cmocka_unit_test_setup_teardown(
			a_domain_whose_server_fails_is_not_passed_over_for_the_next, sandbox_set_up,
			sandbox_tear_down),
		cmocka_unit_test_setup_teardown(names_are_looked_for_at_once, sandbox_set_up,
						sandbox_tear_down),
	};
	pid_t server;
	int failed;

	sandbox_enter_private_network();
	server = sandbox_spawn_ready(serve_names, NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	sandbox_end(server);
	return failed;
}
