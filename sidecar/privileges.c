/* SPDX-License-Identifier: MIT */
/* privileges - what this process may do (capabilities(7), by libcap-ng). */
#include "privileges.h"

#include "patchers/base/buf.h"
#include "patchers/base/error.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

static const struct {
	unsigned capability;
	const char *name;
} table[] = {
	[PRIVILEGE_CHOWN] = { CAP_CHOWN, "CHOWN" },
	[PRIVILEGE_DAC_OVERRIDE] = { CAP_DAC_OVERRIDE, "DAC_OVERRIDE" },
	[PRIVILEGE_FOWNER] = { CAP_FOWNER, "FOWNER" },
	[PRIVILEGE_KILL] = { CAP_KILL, "KILL" },
	[PRIVILEGE_NET_ADMIN] = { CAP_NET_ADMIN, "NET_ADMIN" },
	[PRIVILEGE_NET_BIND_SERVICE] = { CAP_NET_BIND_SERVICE, "NET_BIND_SERVICE" },
	[PRIVILEGE_SYS_CHROOT] = { CAP_SYS_CHROOT, "SYS_CHROOT" },
	[PRIVILEGE_SYS_PTRACE] = { CAP_SYS_PTRACE, "SYS_PTRACE" },
};

_Static_assert(sizeof(table) / sizeof(table[0]) == PRIVILEGE_COUNT, "a row for each privilege");

#define EVERY_WAY (PRIVILEGES_PATCH | PRIVILEGES_RUN | PRIVILEGES_WATCH)

/* The gravest use of a privilege comes first. */
static const struct privilege_use uses[] = {
	{ PRIVILEGE_SYS_PTRACE, PRIVILEGES_WATCH, true,
	  "see the mail container's processes and reach its files" },
	{ PRIVILEGE_SYS_CHROOT, PRIVILEGES_WATCH, true,
	  "judge a configuration with the mail container's own tools" },
	{ PRIVILEGE_DAC_OVERRIDE, EVERY_WAY, false,
	  "read and replace configuration files that are not root's" },
	{ PRIVILEGE_CHOWN, EVERY_WAY, false,
	  "replace a configuration file that is not root's and leave it to its owner" },
	{ PRIVILEGE_FOWNER, EVERY_WAY, false,
	  "replace a configuration file that is not root's and leave its mode as it is" },
	{ PRIVILEGE_KILL, PRIVILEGES_RUN, false,
	  "reload a server and end processes that do not run as root" },
	{ PRIVILEGE_KILL, PRIVILEGES_PATCH | PRIVILEGES_WATCH, false,
	  "reload a server that does not run as root" },
	{ PRIVILEGE_NET_BIND_SERVICE, EVERY_WAY, false,
	  "try whether a server could bind a port below 1024" },
	{ PRIVILEGE_NET_ADMIN, EVERY_WAY, false,
	  "keep everybody but the trusted networks from the twins (the gate)" },
	{ PRIVILEGE_SYS_PTRACE, PRIVILEGES_PATCH | PRIVILEGES_RUN, false,
	  "see for certain which process holds a port" },
};

size_t privileges_uses(unsigned ways, const struct privilege_use *out[PRIVILEGE_COUNT])
{
	bool taken[PRIVILEGE_COUNT] = { false };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		if (!(uses[i].ways & ways) || taken[uses[i].privilege])
			continue;
		taken[uses[i].privilege] = true;
		out[n++] = &uses[i];
	}
	return n;
}

bool privileges_have(enum privilege privilege)
{
	return capng_have_capability(CAPNG_EFFECTIVE, table[privilege].capability) == 1;
}

const char *privileges_name(enum privilege privilege)
{
	return table[privilege].name;
}

size_t privileges_missing(const enum privilege list[], size_t n, struct buf *names)
{
	size_t n_missing = 0;

	for (size_t i = 0; i < n; i++)
		if (!privileges_have(list[i]))
			buf_add_format(names, "%sCAP_%s", n_missing++ > 0 ? ", " : "",
				       privileges_name(list[i]));
	return n_missing;
}

/* Whether the kernel says so now; libcap-ng's own notion is made anew. */
static int check_kept(const bool kept[], struct error *err)
{
	if (capng_get_caps_process() < 0)
		return error_set(err, -EPERM, "the kernel does not tell what privileges are left");
	for (unsigned i = 0; i <= CAP_LAST_CAP; i++) {
		bool is_left = capng_have_capability(CAPNG_EFFECTIVE, i) == 1 ||
			       capng_have_capability(CAPNG_PERMITTED, i) == 1;

		if (is_left != kept[i] || capng_have_capability(CAPNG_INHERITABLE, i) == 1 ||
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
			return error_set(err, -EPERM, "CAP_%u is not as it was to be left", i);
	}
	return 0;
}

/* Without new privileges it limits nothing: for who reads it, and as a second wall. */
static int drop_bounds(const bool kept[], struct error *err)
{
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 1)
		return 0;
	for (unsigned i = 0; i <= CAP_LAST_CAP; i++)
		if (!kept[i] && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EINVAL)
			return error_errno(err, "drop CAP_%u from the bounding set", i);
	return 0; /* EINVAL: a capability that this kernel does not know */
}

int privileges_gain_none(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "forgo new privileges");
	return 0;
}

/* What of the list is permitted is made effective, the rest goes. */
int privileges_keep(const enum privilege list[], size_t n, bool no_new_privileges,
		    struct error *err)
{
	bool kept[CAP_LAST_CAP + 1] = { false };
	int rc = 0;

	if (capng_get_caps_process() < 0)
		return error_set(err, -EPERM, "the kernel does not tell what privileges we have");
	for (size_t i = 0; i < n; i++) {
		unsigned capability = table[list[i]].capability;

		kept[capability] = capng_have_capability(CAPNG_PERMITTED, capability) == 1;
	}
	if (no_new_privileges && (rc = drop_bounds(kept, err)) < 0)
		return rc;
	/* The ambient set is a part of the inheritable one: it goes with it. */
	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned i = 0; i <= CAP_LAST_CAP && rc == 0; i++)
		if (kept[i])
			rc = capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, i);
	if (rc < 0 || capng_apply(CAPNG_SELECT_CAPS) < 0)
		return error_set(err, -EPERM, "privileges cannot be dropped");
	if (no_new_privileges && (rc = privileges_gain_none(err)) < 0)
		return rc;
	return check_kept(kept, err);
}

int privileges_give_up(enum privilege privilege, struct error *err)
{
	enum privilege others[PRIVILEGE_COUNT];
	size_t n = 0;

	for (unsigned i = 0; i < PRIVILEGE_COUNT; i++)
		if ((enum privilege)i != privilege)
			others[n++] = (enum privilege)i;
	return privileges_keep(others, n, false, err);
}
