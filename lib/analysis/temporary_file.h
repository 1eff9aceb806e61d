/* Files that outlive no command. */
#ifndef HEAPLINE_ANALYSIS_TEMPORARY_FILE_H
#define HEAPLINE_ANALYSIS_TEMPORARY_FILE_H

/* Create an empty file, readable by its owner only, that tells its purpose in its name. Returns its descriptor and path; -1: nowhere.
 * The caller unlinks the file and frees the path. */
int temporary_file(const char *purpose, char **ret_path);

#endif
