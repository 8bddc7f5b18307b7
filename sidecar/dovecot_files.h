/* SPDX-License-Identifier: MIT */
/* dovecot_files - Dovecot's configuration files, read inside a root. */
#ifndef SIDECAR_DOVECOT_FILES_H
#define SIDECAR_DOVECOT_FILES_H

struct digest_maker;
struct dovecot_conf;
struct dovecot_source;
struct rootfs;

/*
 * Files as dovecot_conf reads them, the globs of its includes evaluated inside
 * the root by glob(3).  Borrows root.
 */
struct dovecot_source dovecot_files_source(const struct rootfs *root);

/* Add the files' paths and texts to a digest. */
void dovecot_files_digest(const struct dovecot_conf *conf, struct digest_maker *maker);

#endif
