/* SPDX-License-Identifier: MIT */
/*
 * reconcile - the one place where settings, texts, files and servers meet.
 *
 *   settings + files --survey--> what differs
 *   what differs     --apply---> judged, bound, written, reloaded, verified
 */
#ifndef SIDECAR_RECONCILE_H
#define SIDECAR_RECONCILE_H

struct error;
struct survey;
struct survey_request;

/*
 * Survey and, under the lock that keeps two posterns apart, make it so.
 * 1 something was changed, 0 nothing had to be, -EALREADY when it is what
 * request->refused names (nothing is said then), or the reason for which
 * everything is as before, but for the gate if request->guard_anyway.  `out` is the
 * last survey, also on failure.
 */
int reconcile_run(const struct survey_request *request, struct survey *out, struct error *err);

#endif
