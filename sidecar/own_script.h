/* SPDX-License-Identifier: MIT */
/*
 * own_script - the user-patches.sh that a user has where the hook has to be.
 *
 * It is kept as user-patches.own.sh, which the hook runs, as what it is: a file
 * or a link.  What was kept before it and is another goes to the first free one
 * of user-patches.own.sh.1, .2 and so on.  Nothing is ever lost: at any instant
 * each script has a name.
 */
#ifndef SIDECAR_OWN_SCRIPT_H
#define SIDECAR_OWN_SCRIPT_H

struct error;
struct notes;
struct placing_folder;

/* How many are kept that do not run. */
enum { OWN_SCRIPT_OLDER_MAX = 99 };

/* Whose user-patches.sh is. */
enum own_script_state {
	OWN_SCRIPT_NONE,    /* there is none */
	OWN_SCRIPT_HOOK,    /* ours */
	OWN_SCRIPT_PRESENT, /* the user's, whatever it is */
};

/* Fails when it cannot be read. */
int own_script_look(const struct placing_folder *folder, enum own_script_state *out,
		    struct error *err);

/*
 * Keep the one that is present: the hook can be renamed over its name then.
 * 0; -EINVAL when it is no file and no link; -EMLINK when too many are kept;
 * -EBUSY when it is a mount of its own.
 */
int own_script_keep(const struct placing_folder *folder, struct notes *notes, struct error *err);

/* Put the kept one in the hook's place, or take the hook away.  1, or 0 when neither is there. */
int own_script_put_back(const struct placing_folder *folder, struct notes *notes,
			struct error *err);

#endif
