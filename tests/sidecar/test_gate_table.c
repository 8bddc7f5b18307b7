/* SPDX-License-Identifier: MIT */
/* The gate's table in this machine's own kernel, in a network of the test's own. */
#include "sandbox.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sidecar/gate_table.h"
#include "sidecar/netlink.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 3000 };

static struct netlink netlink = NETLINK_INIT;

static int open_netlink(void **state)
{
	(void)state;
	assert_int_equal(netlink_open(&netlink, NETLINK_NETFILTER, NULL), 0);
	return 0;
}

static int close_netlink(void **state)
{
	const struct gate_plan none = { 0 };
	const struct cidr_list nobody = { 0 };
	struct gate_plan plan = none;

	(void)state;
	plan.networks = &nobody;
	assert_int_equal(gate_table_write(&netlink, &plan, NULL), 0);
	netlink_close(&netlink);
	return 0;
}

static void add_network(struct cidr_list *list, const char *text)
{
	struct error err = { 0 };
	struct cidr net;

	assert_int_equal(cidr_parse(span_from(text), &net, NULL, &err), 0);
	assert_int_equal(cidr_list_add(list, &net, NULL, &err), 0);
}

static bool is_there(const struct gate_plan *plan)
{
	CLEANUP(gate_table_release) struct gate_table table = GATE_TABLE_INIT;
	struct error err = { 0 };

	assert_int_equal(gate_table_read(&netlink, &table, &err), 0);
	return gate_table_is(&table, plan);
}

static const uint16_t ports[] = { 12525, 10587, 10143 };

static void every_kind_of_network_is_read_as_it_was_written(void **state)
{
	static const char *const texts[] = { "10.42.0.0/16",      "192.0.2.7",    "172.16.0.0/13",
					     "198.51.100.1/31",   "fd00:42::/48", "2001:db8::1",
					     "2001:db8:8000::/33" };
	static const char *const widest[] = { "0.0.0.0/0", "::/0" };
	struct error err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts) + ARRAY_SIZE(widest); i++) {
		CLEANUP(cidr_list_release) struct cidr_list one = { 0 }, other = { 0 };
		const struct gate_plan plan = { ports, ARRAY_SIZE(ports), &one };
		const struct gate_plan another = { ports, ARRAY_SIZE(ports), &other };

		add_network(&one, i < ARRAY_SIZE(texts) ? texts[i] : widest[i - ARRAY_SIZE(texts)]);
		add_network(&other, "192.0.2.8");
		assert_int_equal(gate_table_write(&netlink, &plan, &err), 0);
		assert_true(is_there(&plan));
		assert_false(is_there(&another));
	}
}

static void ports_are_read_as_they_were_written(void **state)
{
	CLEANUP(cidr_list_release) struct cidr_list networks = { 0 };
	CLEANUP(gate_table_release) struct gate_table table = GATE_TABLE_INIT;
	const struct gate_plan plan = { ports, ARRAY_SIZE(ports), &networks };
	const struct gate_plan fewer = { ports, ARRAY_SIZE(ports) - 1, &networks };
	uint16_t found[GATE_TABLE_PORTS_MAX];

	(void)state;
	add_network(&networks, "10.0.0.0/8");
	assert_int_equal(gate_table_write(&netlink, &plan, NULL), 0);
	assert_int_equal(gate_table_read(&netlink, &table, NULL), 0);
	assert_int_equal(gate_table_ports(&table, found), ARRAY_SIZE(ports));
	assert_memory_equal(found, ports, sizeof(ports));
	assert_false(is_there(&fewer));
}

static void nobody_is_a_list_of_networks_too(void **state)
{
	const struct cidr_list nobody = { 0 };
	const struct gate_plan plan = { ports, ARRAY_SIZE(ports), &nobody };

	(void)state;
	assert_int_equal(gate_table_write(&netlink, &plan, NULL), 0);
	assert_true(is_there(&plan));
}

static void without_ports_there_is_no_table(void **state)
{
	const struct cidr_list nobody = { 0 };
	const struct gate_plan plan = { ports, ARRAY_SIZE(ports), &nobody };
	const struct gate_plan none = { NULL, 0, &nobody };

	(void)state;
	assert_int_equal(gate_table_write(&netlink, &none, NULL), 0);
	assert_true(is_there(&none));
	assert_int_equal(gate_table_write(&netlink, &plan, NULL), 0);
	assert_false(is_there(&none));
	assert_int_equal(gate_table_write(&netlink, &none, NULL), 0);
	assert_true(is_there(&none));
}

static void what_was_read_is_restored(void **state)
{
	CLEANUP(cidr_list_release) struct cidr_list networks = { 0 };
	CLEANUP(gate_table_release)
	struct gate_table table = GATE_TABLE_INIT,
			  gone = GATE_TABLE_INIT;
	const struct gate_plan plan = { ports, ARRAY_SIZE(ports), &networks };
	const struct gate_plan other = { ports, 1, &networks }, none = { NULL, 0, &networks };

	(void)state;
	add_network(&networks, "2001:db8::/33");
	assert_int_equal(gate_table_write(&netlink, &plan, NULL), 0);
	assert_int_equal(gate_table_read(&netlink, &table, NULL), 0);
	assert_int_equal(gate_table_write(&netlink, &other, NULL), 0);
	assert_int_equal(gate_table_restore(&netlink, &table, NULL), 0);
	assert_true(is_there(&plan));
	assert_int_equal(gate_table_restore(&netlink, &gone, NULL), 0);
	assert_true(is_there(&none));
}

static void thousands_of_networks_are_one_transaction(void **state)
{
	CLEANUP(cidr_list_release) struct cidr_list networks = { 0 };
	const struct gate_plan plan = { ports, ARRAY_SIZE(ports), &networks };
	struct error err = { 0 };

	(void)state;
	networks.items = calloc(MANY, sizeof(*networks.items));
	networks.n_items = MANY;
	for (uint16_t i = 0; i < MANY; i++)
		networks.items[i] = (struct cidr){ .bytes = { 10, (uint8_t)(i >> 8), (uint8_t)i },
						   .prefix = 24 };
	assert_int_equal(gate_table_write(&netlink, &plan, &err), 0);
	assert_true(is_there(&plan));
	networks.items[MANY - 1].prefix = 25;
	assert_false(is_there(&plan));
}

static void without_the_privilege_the_kernel_refuses(void **state)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	const struct cidr_list nobody = { 0 };
	const struct gate_plan plan = { ports, ARRAY_SIZE(ports), &nobody };
	struct gate_table table = GATE_TABLE_INIT;
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct netlink own = NETLINK_INIT;
		bool good = syscall(SYS_capset, &header, data) == 0 &&
			    netlink_open(&own, NETLINK_NETFILTER, NULL) == 0 &&
			    gate_table_read(&own, &table, NULL) == -EPERM &&
			    gate_table_write(&own, &plan, NULL) == -EPERM;

		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_network_is_read_as_it_was_written),
		cmocka_unit_test(ports_are_read_as_they_were_written),
		cmocka_unit_test(nobody_is_a_list_of_networks_too),
		cmocka_unit_test(without_ports_there_is_no_table),
		cmocka_unit_test(what_was_read_is_restored),
		cmocka_unit_test(thousands_of_networks_are_one_transaction),
		cmocka_unit_test(without_the_privilege_the_kernel_refuses),
	};

	sandbox_enter_private_network();
	return cmocka_run_group_tests(tests, open_netlink, close_netlink);
}
