/* files.h - the files of one model, mapped for reading: the host's side of struct tenon_files.
 *
 *     struct tn_files *files;
 *     if (tn_files_open("model.gguf", &files, err) != TENON_OK) ...        // or a folder
 *     weights->open(self, tn_files_table(files), tn_files_name(files), &model, err);
 *     tn_files_view(files, range.file, range.offset, range.size, &data, err);
 *     ...
 *     tn_files_close(files);                                                // all views end here
 *
 * Names are relative to the model's folder: the folder itself, or the one the file is in, so that a file finds its
 * shards. A name with ".." or with "/" in front is refused; a name that is a link is followed wherever it leads, for
 * download caches are made of links.
 *
 * A mapped file may be cut short by someone else, or its disk fail: then reads give zeros (core/base/torn.h), and tn_files_check
 * tells, so who has read asks it before using what came of that. Files replaced by rename are safe.
 *
 * [any-thread] except open and close.
 */
#ifndef TN_MODEL_FILES_H
#define TN_MODEL_FILES_H

#include <stdint.h>

#include <tenon/weights.h>

#define TN_FILES_LIST_MAX 65536u /* files of a folder */
#define TN_FILES_DEPTH_MAX 4u    /* folders inside folders that are listed */

struct tn_files;

/* `path` names a regular file or a folder. OWN: *ret_files, by tn_files_close. NOT_FOUND, PERMISSION_DENIED,
 * INVALID_ARGUMENT (neither file nor folder, or empty). */
int32_t tn_files_open(const char *path, struct tn_files **ret_files, struct tenon_err *err);
/* Unmaps everything. NULL is allowed. */
void tn_files_close(struct tn_files *files);

/* The table for weights and tokenizer plugins. OWN: files. */
const struct tenon_files *tn_files_table(const struct tn_files *files);
/* The file the user named, as the table's map takes it; NULL for a folder. OWN: files. */
const char *tn_files_name(const struct tn_files *files);

/* Bytes [offset, offset + size) of mapped file `id`, after checking that they are inside. OWN: files. */
int32_t tn_files_view(const struct tn_files *files, uint32_t id, uint64_t offset, uint64_t size, const void **ret_data,
                      struct tenon_err *err);

/* What is going to happen to a stretch of a mapped file. */
enum tn_files_use {
    TN_FILES_SOON, /* read it ahead */
    TN_FILES_DONE  /* its memory may go, e.g. after packing; reading it again is allowed and reads the file */
};

/* A hint: never fails, and does nothing for a stretch that is outside. */
void tn_files_advise(const struct tn_files *files, uint32_t id, uint64_t offset, uint64_t size, enum tn_files_use use);

/* Could all that was read be read, and are the mapped files as long as they were? DATA_LOSS names the one of which that is not so.
 * What someone writes over a mapped file in place, without changing its length, is not noticed. */
int32_t tn_files_check(const struct tn_files *files, struct tenon_err *err);

#endif
