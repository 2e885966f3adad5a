#include "cli/system_console.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <streambuf>

#include "cli/doctor/local_agent.h"

namespace joulefarm::cli {
namespace {

// The signal handler reaches only these.
volatile sig_atomic_t g_interrupted = 0;
std::array<int, 2> g_wake = {-1, -1};

void OnInterrupt(int /*signal*/) {
  const int saved = errno;
  g_interrupted = 1;
  const char byte = 0;
  if (write(g_wake[1], &byte, 1) < 0) {
    // The pipe is full or was never made: the flag is enough.
  }
  errno = saved;
}

void CatchInterrupt() {
  if (g_wake[0] >= 0) return;
  if (pipe2(g_wake.data(), O_CLOEXEC | O_NONBLOCK) != 0) g_wake = {-1, -1};
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  // The second Ctrl-C ends the process whatever it is doing.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
}

void Sleep(std::chrono::nanoseconds duration) {
  if (g_interrupted != 0) return;
  pollfd wake{g_wake[0], POLLIN, 0};
  timespec time{};
  time.tv_sec = static_cast<time_t>(duration.count() / 1'000'000'000);
  time.tv_nsec = static_cast<long>(duration.count() % 1'000'000'000);
  ppoll(&wake, 1, &time, nullptr);
}

winsize TerminalSize() {
  winsize size{};
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size;
  }
  size.ws_col = 80;
  return size;
}

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

}  // namespace

// Writes to a descriptor and remembers the first error, which std::cout does not tell.
class SystemConsole::FdBuffer : public std::streambuf {
 public:
  explicit FdBuffer(int fd) : fd_(fd) { setp(buffer_.data(), buffer_.data() + buffer_.size()); }
  ~FdBuffer() override { FdBuffer::sync(); }
  FdBuffer(const FdBuffer&) = delete;
  FdBuffer& operator=(const FdBuffer&) = delete;
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }

  int sync() override {
    const char* at = pbase();
    while (at < pptr() && error_ == 0) {
      const ssize_t written = write(fd_, at, static_cast<std::size_t>(pptr() - at));
      if (written >= 0) {
        at += written;
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    setp(buffer_.data(), buffer_.data() + buffer_.size());
    return error_ == 0 ? 0 : -1;
  }

 private:
  int fd_;
  int error_ = 0;
  std::array<char, 16384> buffer_{};
};

SystemConsole::SystemConsole()
    : out_buffer_(std::make_unique<FdBuffer>(STDOUT_FILENO)),
      err_buffer_(std::make_unique<FdBuffer>(STDERR_FILENO)),
      out_(out_buffer_.get()),
      err_(err_buffer_.get()) {
  signal(SIGPIPE, SIG_IGN);
  console_ = std::make_unique<Console>(Console{std::cin, out_, err_});
  console_->in_is_terminal = isatty(STDIN_FILENO) == 1;
  console_->out_is_terminal = isatty(STDOUT_FILENO) == 1;
  console_->err_is_terminal = isatty(STDERR_FILENO) == 1;
  console_->width = [] { return static_cast<int>(TerminalSize().ws_col); };
  console_->height = [] { return static_cast<int>(TerminalSize().ws_row); };
  console_->environment = Environment;
  console_->sleep = Sleep;
  console_->catch_interrupt = CatchInterrupt;
  console_->interrupted = [] { return g_interrupted != 0; };
  console_->run_local_agent = [](const std::vector<std::string>& arguments) {
    return RunLocalAgent(arguments, Environment("PATH").value_or(""));
  };
  console_->out_error = [buffer = out_buffer_.get()] { return buffer->error(); };
}

SystemConsole::~SystemConsole() = default;

}  // namespace joulefarm::cli
