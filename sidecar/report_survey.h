/* SPDX-License-Identifier: MIT */
/*
 * report_survey - what a survey found, as a part of the report of a look.
 *
 * Whatever cannot be kept for want of memory is missing in the report; see
 * report.h for how that is told.
 */
#ifndef SIDECAR_REPORT_SURVEY_H
#define SIDECAR_REPORT_SURVEY_H

struct gate;
struct report;
struct survey;

/*
 * The servers, their twins and their folders, in place of what stood there.  A
 * twin that was not asked now, of a process that was proven before, is as it was
 * in `previous`.
 */
void report_survey(struct report *out, const struct report *previous, const struct survey *r);

/* How far the gate is in force, and which ports it guards. */
void report_survey_gate(struct report *out, const struct gate *gate);

/* What protects the twins is as it was, as long as nobody has found anything else. */
void report_keep_protection(struct report *out, const struct report *previous);

/* What its servers are alone: of an attempt before which nothing was in force. */
void report_survey_servers(struct report *out, const struct report *previous,
			   const struct survey *r);

/* Its folders alone: of an attempt that is not in force. */
void report_survey_folders(struct report *out, const struct survey *r);

/* Its reloads alone: those of an attempt that was taken back count, too. */
void report_survey_reloads(struct report *out, const struct survey *r);

/* Servers and twins of another report: what could not be looked at is as it was. */
void report_servers_of(struct report *out, const struct report *previous);

#endif
