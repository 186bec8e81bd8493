// A file system that passes everything on to a directory, and breaks what a control file says.
//   fuse_faults ROOT MOUNTPOINT CONTROL [options of FUSE]
// CONTROL holds five numbers: the errno of reads, of writes, of syncs (0 = none), milliseconds by which a sync is late, and 1
// where a sync is said to be done and is not.
// It is read at every such call, and is replaced by a rename, so nobody ever reads half of it.
// A sync that fails was not done: what it should have kept is lost with the next power cut below.
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static char root[PATH_MAX], control[PATH_MAX];

struct faults { int read, write, sync, late, lies; };

static struct faults faults_now(void) {
  struct faults f = {0, 0, 0, 0, 0};
  FILE *file = fopen(control, "re");
  if (file) {
    if (fscanf(file, "%d %d %d %d %d", &f.read, &f.write, &f.sync, &f.late, &f.lies) != 5)
      f = (struct faults){0, 0, 0, 0, 0};
    fclose(file);
  }
  return f;
}

#define BELOW(name, path) \
  char name[PATH_MAX + 512]; \
  if ((size_t)snprintf(name, sizeof name, "%s%s", root, path) >= sizeof name) return -ENAMETOOLONG
#define RESULT(call) ((call) < 0 ? -errno : 0)

static int f_getattr(const char *path, struct stat *st, struct fuse_file_info *fi) {
  if (fi) return RESULT(fstat(fi->fh, st));
  BELOW(below, path);
  return RESULT(lstat(below, st));
}
static int f_opendir(const char *path, struct fuse_file_info *fi) {
  BELOW(below, path);
  int fd = open(below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  fi->fh = fd;
  return 0;
}
static int f_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *fi, enum fuse_readdir_flags flags) {
  (void)path; (void)offset; (void)flags;
  int fd = openat(fi->fh, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) return -errno;
  for (struct dirent *entry; (entry = readdir(dir));)
    fill(buffer, entry->d_name, NULL, 0, 0);
  closedir(dir);
  return 0;
}
static int f_open(const char *path, struct fuse_file_info *fi) {
  BELOW(below, path);
  int fd = open(below, (fi->flags & ~(O_CREAT | O_EXCL)) | O_CLOEXEC);
  if (fd < 0) return -errno;
  fi->fh = fd;
  return 0;
}
static int f_create(const char *path, mode_t mode, struct fuse_file_info *fi) {
  BELOW(below, path);
  int fd = open(below, fi->flags | O_CREAT | O_CLOEXEC, mode);
  if (fd < 0) return -errno;
  fi->fh = fd;
  return 0;
}
static int f_release(const char *path, struct fuse_file_info *fi) {
  (void)path;
  close(fi->fh);
  return 0;
}
static int f_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *fi) {
  (void)path;
  struct faults f = faults_now();
  if (f.read) return -f.read;
  ssize_t count = pread(fi->fh, buffer, size, offset);
  return count < 0 ? -errno : (int)count;
}
static int f_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *fi) {
  (void)path;
  struct faults f = faults_now();
  if (f.write) return -f.write;
  ssize_t count = pwrite(fi->fh, buffer, size, offset);
  return count < 0 ? -errno : (int)count;
}
static int f_fsync(const char *path, int data_only, struct fuse_file_info *fi) {
  (void)path;
  struct faults f = faults_now();
  if (f.late) {
    struct timespec wait = {f.late / 1000, (f.late % 1000) * 1000000L};
    nanosleep(&wait, NULL);
    f = faults_now();
  }
  if (f.sync) return -f.sync;
  if (f.lies) return 0;
  return RESULT(data_only ? fdatasync(fi->fh) : fsync(fi->fh));
}
static int f_truncate(const char *path, off_t length, struct fuse_file_info *fi) {
  if (fi) return RESULT(ftruncate(fi->fh, length));
  BELOW(below, path);
  return RESULT(truncate(below, length));
}
static int f_fallocate(const char *path, int mode, off_t offset, off_t length, struct fuse_file_info *fi) {
  (void)path;
  return RESULT(fallocate(fi->fh, mode, offset, length));
}
static int f_mkdir(const char *path, mode_t mode) { BELOW(below, path); return RESULT(mkdir(below, mode)); }
static int f_rmdir(const char *path) { BELOW(below, path); return RESULT(rmdir(below)); }
static int f_unlink(const char *path) { BELOW(below, path); return RESULT(unlink(below)); }
static int f_rename(const char *from, const char *to, unsigned flags) {
  BELOW(below_from, from);
  BELOW(below_to, to);
  return RESULT(renameat2(AT_FDCWD, below_from, AT_FDCWD, below_to, flags));
}
static int f_chmod(const char *path, mode_t mode, struct fuse_file_info *fi) {
  if (fi) return RESULT(fchmod(fi->fh, mode));
  BELOW(below, path);
  return RESULT(chmod(below, mode));
}
static int f_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi) {
  if (fi) return RESULT(futimens(fi->fh, times));
  BELOW(below, path);
  return RESULT(utimensat(AT_FDCWD, below, times, AT_SYMLINK_NOFOLLOW));
}
static int f_statfs(const char *path, struct statvfs *st) { BELOW(below, path); return RESULT(statvfs(below, st)); }

static void *f_init(struct fuse_conn_info *conn, struct fuse_config *config) {
  conn->max_write = 1 << 20;
  config->use_ino = 1;
  config->hard_remove = 1; // an open file that is deleted needs no name of its own: its descriptor below lives on,
  config->nullpath_ok = 1; // and whatever is called with a descriptor asks for no path
  config->nullpath_ok = 1;
  return NULL;
}

static const struct fuse_operations operations = {
  .init = f_init, .getattr = f_getattr, .opendir = f_opendir, .readdir = f_readdir, .releasedir = f_release, .fsyncdir = f_fsync,
  .open = f_open, .create = f_create, .release = f_release, .read = f_read, .write = f_write, .fsync = f_fsync,
  .truncate = f_truncate, .fallocate = f_fallocate, .mkdir = f_mkdir, .rmdir = f_rmdir, .unlink = f_unlink, .rename = f_rename,
  .chmod = f_chmod, .utimens = f_utimens, .statfs = f_statfs,
};

int main(int argc, char **argv) {
  if (argc < 4 || !realpath(argv[1], root)) {
    fprintf(stderr, "usage: fuse_faults ROOT MOUNTPOINT CONTROL [options of FUSE]\n");
    return 2;
  }
  snprintf(control, sizeof control, "%s", argv[3]);
  char *rest[argc];
  int count = 0;
  rest[count++] = argv[0];
  rest[count++] = argv[2];
  for (int i = 4; i < argc; i++) rest[count++] = argv[i];
  umask(0);
  return fuse_main(count, rest, &operations, NULL);
}
