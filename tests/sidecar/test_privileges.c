/* SPDX-License-Identifier: MIT */
/* privileges - what was dropped is gone, and the kernel says so, not the library. */
#include "sandbox.h"

#include "sidecar/master_process.h"
#include "sidecar/privileges.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What the children tell by their exit status. */
enum { FINE, NOT_DROPPED, WRONG_SETS, WRONG_ATTEMPT, WRONG_PROGRAM, WRONG_NAMES };

#define BIT(capability) (1ULL << (capability))

/* A line of /proc/self/status that holds a number in the base. */
static unsigned long long status(const char *field, int base)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long value = ~0ULL;
	char line[256];
	size_t n = strlen(field);

	if (!file)
		_exit(100);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, field, n) == 0 && line[n] == ':')
			value = strtoull(line + n + 1, NULL, base);
	fclose(file);
	return value;
}

static bool are_sets(unsigned long long kept)
{
	return status("CapEff", 16) == kept && status("CapPrm", 16) == kept &&
	       status("CapInh", 16) == 0 && status("CapAmb", 16) == 0;
}

/* ---- dropping ---- */

static void keep_two(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_KILL, PRIVILEGE_CHOWN };
	unsigned long long bounding = status("CapBnd", 16);

	(void)ctx;
	if (privileges_keep(kept, 2, false, NULL) != 0)
		_exit(NOT_DROPPED);
	if (!are_sets(BIT(CAP_KILL) | BIT(CAP_CHOWN)) || status("CapBnd", 16) != bounding ||
	    status("NoNewPrivs", 10) != 0)
		_exit(WRONG_SETS);
	if (!privileges_have(PRIVILEGE_KILL) || privileges_have(PRIVILEGE_FOWNER))
		_exit(WRONG_SETS);
}

static void what_is_not_kept_is_gone_from_every_set_but_the_bounding_one(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(keep_two, NULL), FINE);
}

static void keep_nothing(void *ctx)
{
	(void)ctx;
	if (privileges_keep(NULL, 0, true, NULL) != 0)
		_exit(NOT_DROPPED);
	if (!are_sets(0) || status("NoNewPrivs", 10) != 1 || status("CapBnd", 16) != 0)
		_exit(WRONG_SETS);
	for (unsigned i = 0; i < PRIVILEGE_COUNT; i++)
		if (privileges_have((enum privilege)i))
			_exit(WRONG_SETS);
}

static void all_may_be_dropped(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(keep_nothing, NULL), FINE);
}

/* What a container runtime may hand over: inherited, and ambient. */
static void raise_inherited(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		_exit(100);
	data[0].inheritable = data[0].permitted;
	data[1].inheritable = data[1].permitted;
	if (syscall(SYS_capset, &header, data) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0) < 0 ||
	    status("CapAmb", 16) == 0)
		_exit(100);
}

static void keep_of_inherited(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_KILL };

	(void)ctx;
	raise_inherited();
	if (privileges_keep(kept, 1, false, NULL) != 0)
		_exit(NOT_DROPPED);
	if (!are_sets(BIT(CAP_KILL)))
		_exit(WRONG_SETS);
}

static void what_was_inherited_goes_too(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(keep_of_inherited, NULL), FINE);
}

static void keep_more_than_we_have(void *ctx)
{
	static const enum privilege first[] = { PRIVILEGE_KILL, PRIVILEGE_CHOWN };
	static const enum privilege second[] = { PRIVILEGE_CHOWN, PRIVILEGE_FOWNER,
						 PRIVILEGE_CHOWN };

	(void)ctx;
	if (privileges_keep(first, 2, false, NULL) != 0 ||
	    privileges_keep(second, 3, false, NULL) != 0)
		_exit(NOT_DROPPED);
	if (!are_sets(BIT(CAP_CHOWN)))
		_exit(WRONG_SETS);
	/* Twice is once. */
	if (privileges_keep(second, 3, false, NULL) != 0 || !are_sets(BIT(CAP_CHOWN)))
		_exit(WRONG_SETS);
}

static void what_we_do_not_have_is_not_gained(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(keep_more_than_we_have, NULL), FINE);
}

static void keep_without_setpcap(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_KILL };
	unsigned long long bounding;

	(void)ctx;
	if (privileges_keep(kept, 1, false, NULL) != 0)
		_exit(NOT_DROPPED);
	bounding = status("CapBnd", 16);
	if (privileges_keep(NULL, 0, true, NULL) != 0)
		_exit(NOT_DROPPED);
	if (!are_sets(0) || bounding == 0 || status("CapBnd", 16) != bounding)
		_exit(WRONG_SETS);
}

static void the_bounding_set_may_have_to_stay(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(keep_without_setpcap, NULL), FINE);
}

static void give_up_one(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_KILL, PRIVILEGE_NET_ADMIN,
					       PRIVILEGE_CHOWN };

	(void)ctx;
	if (privileges_keep(kept, 3, true, NULL) != 0 ||
	    !are_sets(BIT(CAP_KILL) | BIT(CAP_NET_ADMIN) | BIT(CAP_CHOWN)))
		_exit(NOT_DROPPED);
	/* Twice is once. */
	for (int i = 0; i < 2; i++)
		if (privileges_give_up(PRIVILEGE_NET_ADMIN, NULL) != 0 ||
		    !are_sets(BIT(CAP_KILL) | BIT(CAP_CHOWN)) ||
		    privileges_have(PRIVILEGE_NET_ADMIN) || status("NoNewPrivs", 10) != 1)
			_exit(WRONG_SETS);
}

static void one_can_be_given_up_later(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(give_up_one, NULL), FINE);
}

/* ---- attempts ---- */

static void wait_as_nobody(void *ctx)
{
	if (setuid(65534) < 0)
		_exit(1);
	sandbox_ready();
	sandbox_linger(ctx);
}

struct attempt {
	const struct sandbox *s;
	pid_t nobodys; /* a process of another user */
	enum privilege lacking;
};

/* Beyond the limit of a socket's buffer. */
static bool set_forced_buffer(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = 65536;

	return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) == 0;
}

/* With everything but the one: whether each thing can be done that it is for. */
static void try_without(void *ctx)
{
	const struct attempt *attempt = ctx;
	const char *file = sandbox_path(attempt->s, "/file");
	const enum privilege without = attempt->lacking;
	enum privilege kept[PRIVILEGE_COUNT];
	char path[64], link[16];
	size_t n = 0;
	bool done;

	for (unsigned i = 0; i < PRIVILEGE_COUNT; i++)
		if (i != without)
			kept[n++] = (enum privilege)i;
	if (privileges_keep(kept, n, false, NULL) != 0)
		_exit(NOT_DROPPED);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)attempt->nobodys);
	/* The kernel's answer to each is a matter of this one privilege. */
	done = open(file, O_RDONLY | O_CLOEXEC) >= 0;
	if (done == (without == PRIVILEGE_DAC_OVERRIDE))
		_exit(WRONG_ATTEMPT);
	done = chmod(file, 0600) == 0;
	if (done == (without == PRIVILEGE_FOWNER))
		_exit(WRONG_ATTEMPT);
	done = chown(file, 4321, 4321) == 0;
	if (done == (without == PRIVILEGE_CHOWN))
		_exit(WRONG_ATTEMPT);
	done = readlink(path, link, sizeof(link)) >= 0;
	if (done == (without == PRIVILEGE_SYS_PTRACE))
		_exit(WRONG_ATTEMPT);
	done = kill(attempt->nobodys, 0) == 0;
	if (done == (without == PRIVILEGE_KILL))
		_exit(WRONG_ATTEMPT);
	done = set_forced_buffer();
	if (done == (without == PRIVILEGE_NET_ADMIN))
		_exit(WRONG_ATTEMPT);
	done = chroot("/") == 0;
	if (done == (without == PRIVILEGE_SYS_CHROOT))
		_exit(WRONG_ATTEMPT);
}

static void each_privilege_is_what_it_is_called(void **state)
{
	const struct sandbox *s = *state;
	struct attempt attempt = { .s = s, .nobodys = sandbox_spawn_ready(wait_as_nobody, NULL) };

	for (unsigned i = 0; i < PRIVILEGE_COUNT; i++) {
		const char *file = sandbox_path(s, "/file");

		sandbox_write(s, "/file", "");
		assert_int_equal(chown(file, 1234, 1234), 0);
		assert_int_equal(chmod(file, 0600), 0);
		attempt.lacking = (enum privilege)i;
		assert_int_equal(sandbox_in_child(try_without, &attempt), FINE);
	}
	sandbox_end(attempt.nobodys);
}

static void reload_anothers(void *ctx)
{
	struct master_process master = { .pid = *(pid_t *)ctx };
	struct error err;

	master.pidfd = (int)syscall(SYS_pidfd_open, master.pid, 0);
	if (privileges_keep(NULL, 0, true, NULL) != 0)
		_exit(NOT_DROPPED);
	if (master_process_reload(&master, &err) != -EPERM)
		_exit(WRONG_ATTEMPT);
}

static void a_server_of_another_user_is_not_reloaded_without_kill(void **state)
{
	pid_t child = sandbox_spawn_ready(wait_as_nobody, NULL);

	(void)state;
	assert_int_equal(sandbox_in_child(reload_anothers, &child), FINE);
	sandbox_end(child);
}

/* ---- programs ---- */

struct starting {
	bool no_new_privileges;
	unsigned long long had;
};

/* What root executes afterwards, as the servers' own tools are. */
static void start_program(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_KILL, PRIVILEGE_CHOWN };
	const struct starting *starting = ctx;
	char command[128];

	if (privileges_keep(kept, 2, starting->no_new_privileges, NULL) != 0)
		_exit(NOT_DROPPED);
	snprintf(command, sizeof(command), "grep -q '^CapEff:.*%016llx$' /proc/self/status",
		 starting->no_new_privileges ? BIT(CAP_KILL) | BIT(CAP_CHOWN) : starting->had);
	if (system(command) != 0)
		_exit(WRONG_PROGRAM);
}

static void a_program_gets_everything_back_unless_that_is_forgone(void **state)
{
	struct starting starting = { .had = status("CapBnd", 16) };

	(void)state;
	assert_int_equal(sandbox_in_child(start_program, &starting), FINE);
	starting.no_new_privileges = true;
	assert_int_equal(sandbox_in_child(start_program, &starting), FINE);
}

/* ---- the tables ---- */

static void name_missing(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_KILL, PRIVILEGE_CHOWN };
	static const enum privilege asked[] = { PRIVILEGE_SYS_PTRACE, PRIVILEGE_KILL,
						PRIVILEGE_NET_BIND_SERVICE };
	cleanup_buf struct buf names = BUF_INIT;

	(void)ctx;
	if (privileges_keep(kept, 2, false, NULL) != 0)
		_exit(NOT_DROPPED);
	if (privileges_missing(asked, 3, &names) != 2 ||
	    strcmp(buf_text(&names), "CAP_SYS_PTRACE, CAP_NET_BIND_SERVICE") != 0)
		_exit(WRONG_NAMES);
	buf_clear(&names);
	if (privileges_missing(kept, 2, &names) != 0 || names.len > 0)
		_exit(WRONG_NAMES);
}

static void those_that_are_missing_are_named(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(name_missing, NULL), FINE);
}

static const struct privilege_use *use_of(unsigned ways, enum privilege privilege)
{
	const struct privilege_use *uses[PRIVILEGE_COUNT], *found = NULL;
	size_t n = privileges_uses(ways, uses);

	for (size_t i = 0; i < n; i++)
		if (uses[i]->privilege == privilege) {
			assert_null(found);
			found = uses[i];
		}
	return found;
}

static void each_way_of_running_has_its_privileges(void **state)
{
	static const struct {
		enum privilege privilege;
		unsigned ways;
		unsigned indispensable;
	} wanted[] = {
		{ PRIVILEGE_CHOWN, PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH, 0 },
		{ PRIVILEGE_DAC_OVERRIDE, PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH, 0 },
		{ PRIVILEGE_FOWNER, PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH, 0 },
		{ PRIVILEGE_KILL, PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH, 0 },
		{ PRIVILEGE_NET_ADMIN, PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH, 0 },
		{ PRIVILEGE_NET_BIND_SERVICE, PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH,
		  0 },
		{ PRIVILEGE_SYS_CHROOT, PRIVILEGES_WATCH, PRIVILEGES_WATCH },
		{ PRIVILEGE_SYS_PTRACE, PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH,
		  PRIVILEGES_WATCH },
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(wanted), PRIVILEGE_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		for (unsigned way = PRIVILEGES_PATCH; way <= PRIVILEGES_WATCH; way <<= 1) {
			const struct privilege_use *use = use_of(way, wanted[i].privilege);

			assert_int_equal(use != NULL, (wanted[i].ways & way) != 0);
			if (!use)
				continue;
			assert_int_equal(use->is_indispensable,
					 (wanted[i].indispensable & way) != 0);
			assert_true(strlen(use->what_for) > 0);
		}
}

static void ways_add_up(void **state)
{
	const struct privilege_use *uses[PRIVILEGE_COUNT];

	(void)state;
	assert_int_equal(privileges_uses(0, uses), 0);
	assert_int_equal(privileges_uses(PRIVILEGES_RUN, uses), 7);
	assert_int_equal(privileges_uses(PRIVILEGES_RUN | PRIVILEGES_WATCH, uses), 8);
	assert_int_equal(privileges_uses(~0U, uses), PRIVILEGE_COUNT);
	/* What is graver than another use of the same comes first. */
	assert_true(use_of(~0U, PRIVILEGE_SYS_PTRACE)->is_indispensable);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_kept_is_gone_from_every_set_but_the_bounding_one),
		TEST(all_may_be_dropped),
		TEST(the_bounding_set_may_have_to_stay),
		TEST(one_can_be_given_up_later),
		TEST(what_was_inherited_goes_too),
		TEST(what_we_do_not_have_is_not_gained),
		TEST(each_privilege_is_what_it_is_called),
		TEST(a_server_of_another_user_is_not_reloaded_without_kill),
		TEST(a_program_gets_everything_back_unless_that_is_forgone),
		TEST(those_that_are_missing_are_named),
		TEST(each_way_of_running_has_its_privileges),
		TEST(ways_add_up),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
