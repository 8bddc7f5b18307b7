/* SPDX-License-Identifier: MIT */
/*
 * dovecot_reader - read Dovecot's configuration as doveconf(1) does, 2.3 and 2.4.
 *
 * Files come through a struct dovecot_source, so that a candidate can be read
 * as if it were in place.
 */
#ifndef PATCHERS_DOVECOT_READER_H
#define PATCHERS_DOVECOT_READER_H

#include "dovecot_conf.h"
#include "dovecot_source.h"

/*
 * Read `main_path` and all it includes.  -EINVAL with file, line and text for
 * what doveconf(1) refuses as syntax; -ENOENT for an include that matches
 * nothing; -ELOOP; -E2BIG, -EFBIG and -ENAMETOOLONG for what is out of all
 * proportion; -ENOMEM; or what the source returned.  *out is untouched on
 * failure; release with dovecot_conf_release().
 */
int dovecot_conf_read(const struct dovecot_source *source, const char *main_path,
		      const struct dovecot_overlay *overlays, size_t n_overlays,
		      struct dovecot_conf *out, struct error *err);

#endif
