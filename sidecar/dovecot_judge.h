/* SPDX-License-Identifier: MIT */
/* dovecot_judge - whether Dovecot would take a configuration. */
#ifndef SIDECAR_DOVECOT_JUDGE_H
#define SIDECAR_DOVECOT_JUDGE_H

struct dovecot_conf;
struct error;
struct host;

/*
 * By doveconf(1), on a copy of the whole tree as it would be.  "-x" expands values:
 * without it a missing certificate or an unknown variable passes.  0; 1 when the
 * tool is not there; -EINVAL with its words.  What is written into
 * HOST_JUDGE_DIRECTORY stays there for server_remove_candidates().
 */
int dovecot_judge(const struct host *host, const struct dovecot_conf *wanted, struct error *err);

#endif
