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
struct notes;
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

/*
 * If request->guard_anyway: guard what asks for a header by the files as they are, and change
 * nothing else.  A container that starts again has the files of before, and a network without a
 * gate.  The settings have to be good; overrides need not be.  Logs what was guarded; why it could
 * not be is added to `notes`.
 */
void reconcile_guard(const struct survey_request *request, struct notes *notes);

#endif
