/* Preloaded: answers for /dev/udmabuf and /dev/dma_heap/NAME with plain memory files, on kernels built without them.
 *
 * libcamera hands its pictures over in buffers that these two devices make. Container hosts seldom have either. Only
 * the devices are stood in for: every other path and every other request reaches the kernel.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_maker(const char *path)
{
    return path && (strcmp(path, "/dev/udmabuf") == 0 || strncmp(path, "/dev/dma_heap/", 14) == 0);
}

static mode_t mode_of(int flags, va_list rest)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...)                         \
    {                                                                  \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode_t mode = mode_of(flags, rest);                            \
        va_end(rest);                                                  \
        if (is_maker(path))                                            \
            return memfd_create("buffer-maker", MFD_CLOEXEC);          \
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
        return real(path, flags, mode);                                \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                        \
    int name(int folder, const char *path, int flags, ...)                  \
    {                                                                       \
        va_list rest;                                                       \
        va_start(rest, flags);                                              \
        mode_t mode = mode_of(flags, rest);                                 \
        va_end(rest);                                                       \
        if (is_maker(path))                                                 \
            return memfd_create("buffer-maker", MFD_CLOEXEC);               \
        int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
        return real(folder, path, flags, mode);                             \
    }
OPENAT(openat)
OPENAT(openat64)

static int allocate(struct dma_heap_allocation_data *wanted)
{
    int made = memfd_create("buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0)
        return -1;
    if (ftruncate(made, wanted->len)) {
        close(made);
        return -1;
    }
    wanted->fd = made;
    return 0;
}

int ioctl(int file, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    request &= 0xffffffffUL; /* some callers sign-extend it */
    if (request == UDMABUF_CREATE)
        return fcntl(((struct udmabuf_create *)argument)->memfd, F_DUPFD_CLOEXEC, 3);
    if (request == DMA_HEAP_IOCTL_ALLOC)
        return allocate(argument);
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    int result = real(file, request, argument);
    /* Memory files are coherent: there is nothing to synchronise. */
    if (result < 0 && (errno == ENOTTY || errno == ENOSYS) && _IOC_TYPE(request) == DMA_BUF_BASE)
        return 0;
    return result;
}
