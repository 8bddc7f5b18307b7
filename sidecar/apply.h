/* SPDX-License-Identifier: MIT */
/*
 * apply - make a survey come true, or put everything back.
 *
 * The caller holds the lock that keeps two posterns apart.  On failure at any
 * step the previous bytes are put back, and the servers that were told of the
 * new ones are told again.
 */
#ifndef SIDECAR_APPLY_H
#define SIDECAR_APPLY_H

struct error;
struct survey;
struct survey_request;

/*
 * Judge, write, reload, verify.  0, or the reason for which everything is
 * as before; -ESTALE when something changed since the survey.
 */
int apply_patch(const struct survey_request *request, struct survey *survey, struct error *err);

/*
 * Ask the twins of every running server that is not verified yet; nothing is
 * written or reloaded.  0, or what does not answer.
 */
int apply_verify(struct survey *survey, struct error *err);

/*
 * Write first, then tell each server whose tool accepts what is left.  Not 0
 * when a server could not be told; the files are reverted all the same.
 */
int apply_revert(const struct survey_request *request, struct survey *survey, struct error *err);

#endif
