#include "agent/power/link/serial_link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::optional<speed_t> SpeedOf(int baud) {
  constexpr std::array<std::pair<int, speed_t>, 9> kSpeeds = {{{9600, B9600},
                                                               {19200, B19200},
                                                               {38400, B38400},
                                                               {57600, B57600},
                                                               {115200, B115200},
                                                               {230400, B230400},
                                                               {460800, B460800},
                                                               {921600, B921600},
                                                               {1000000, B1000000}}};
  for (const auto& [rate, speed] : kSpeeds) {
    if (rate == baud) return speed;
  }
  return std::nullopt;
}

// "ModemManager (pid 123)" of another process that has it open, as far as this user may see.
std::string Holder(const std::string& path) {
  struct stat device {};
  if (stat(path.c_str(), &device) != 0) return "";
  const auto same = [&](const fs::path& fd) {
    std::error_code gone;
    // Asking about files of other kinds may wait for a file server.
    if (!absl::StartsWith(fs::read_symlink(fd, gone).native(), "/dev/") || gone) return false;
    struct stat open_file {};
    return stat(fd.c_str(), &open_file) == 0 && S_ISCHR(open_file.st_mode) &&
           open_file.st_rdev == device.st_rdev;
  };
  const std::string own = std::to_string(getpid());
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), none; !error && process != none;
       process.increment(error)) {
    const std::string pid = process->path().filename();
    int number = 0;
    if (pid == own || !absl::SimpleAtoi(pid, &number)) continue;
    std::error_code hidden;  // processes of other users, and such as end just now
    for (fs::directory_iterator fd(process->path() / "fd", hidden), end; !hidden && fd != end;
         fd.increment(hidden)) {
      if (!same(fd->path())) continue;
      std::string name;
      std::ifstream comm(process->path() / "comm");
      std::getline(comm, name);
      return absl::StrCat(name, " (pid ", pid, ")");
    }
  }
  return "";
}

absl::Status Held(const std::string& path, const std::string& holder) {
  return absl::UnavailableError(
      absl::StrCat(path, " is held by ", holder.empty() ? "another process" : holder,
                   ": stop it, or keep it away (ModemManager: our udev rule in deploy/udev)"));
}

absl::Status OpenError(const std::string& path, int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(absl::StrCat(
          path,
          ": no permission; install deploy/udev/60-joulefarm-serial.rules, put the agent's user "
          "into the group joulefarm and plug the meter in again, or add that user to the group of "
          "the device (usually: sudo usermod -aG dialout USER) and log in again"));
    case EBUSY:
      return Held(path, Holder(path));
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case EIO:
      return absl::UnavailableError(absl::StrCat(path, " is not there: ", std::strerror(error)));
    default:
      return absl::InternalError(absl::StrCat("cannot open ", path, ": ", std::strerror(error)));
  }
}

class SerialLink final : public Link {
 public:
  SerialLink(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~SerialLink() override { close(fd_); }
  SerialLink(const SerialLink&) = delete;
  SerialLink& operator=(const SerialLink&) = delete;

  absl::Status SetUp(speed_t speed) {
    if (isatty(fd_) == 0) {
      return absl::InternalError(absl::StrCat(path_, " is not a serial line"));
    }
    // The first is for agents and tools that ask, root's too; the second for all others but root's.
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      return errno == EWOULDBLOCK ? Held(path_, Holder(path_)) : Failed("locking", errno);
    }
    // Of those that are not the kernel's own, such as umockdev's, some do not know the second.
    if (ioctl(fd_, TIOCEXCL, nullptr) != 0 && errno != ENOTTY) return Failed("reserving", errno);
    // Who had it open before reads half of what the meter sends.
    const std::string holder = Holder(path_);
    if (!holder.empty()) return Held(path_, holder);
    termios line{};
    if (tcgetattr(fd_, &line) != 0) return Failed("reading the settings of", errno);
    cfmakeraw(&line);
    line.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | PARENB | CRTSCTS);
    line.c_cflag |= CLOCAL | CREAD;
    line.c_cc[VMIN] = 0;
    line.c_cc[VTIME] = 0;
    if (cfsetspeed(&line, speed) != 0 || tcsetattr(fd_, TCSANOW, &line) != 0 ||
        tcflush(fd_, TCIOFLUSH) != 0) {
      return Failed("setting up", errno);
    }
    return absl::OkStatus();
  }

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int timeout_ms) override {
    const auto end = steady_clock::now() + milliseconds(timeout_ms);
    while (!bytes.empty()) {
      if (absl::Status ready = Await(POLLOUT, end); !ready.ok()) return ready;
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(written));
      } else if (written < 0 && errno != EAGAIN && errno != EINTR) {
        return Failed("writing to", errno);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int timeout_ms) override {
    const auto end = steady_clock::now() + milliseconds(timeout_ms);
    std::vector<std::uint8_t> bytes(most);
    while (true) {
      if (absl::Status ready = Await(POLLIN, end); !ready.ok()) return ready;
      const ssize_t got = read(fd_, bytes.data(), bytes.size());
      if (got > 0) {
        bytes.resize(ReadMore(bytes, static_cast<std::size_t>(got)));
        return bytes;
      }
      // Ready and nothing there: the other end hung up.
      if (got == 0) return Gone();
      if (errno != EAGAIN && errno != EINTR) return Failed("reading from", errno);
    }
  }

 private:
  // What else has arrived, behind the first `size` of `bytes`; how many are then there. One read
  // gives at most what the line discipline holds, 4095 bytes: of a fast meter, too little. An error
  // is met again by the next read.
  std::size_t ReadMore(std::vector<std::uint8_t>& bytes, std::size_t size) const {
    while (size < bytes.size()) {
      const ssize_t got = read(fd_, bytes.data() + size, bytes.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      size += static_cast<std::size_t>(got);
    }
    return size;
  }
  absl::Status Await(short event, steady_clock::time_point end) {
    while (true) {
      const auto left = std::chrono::ceil<milliseconds>(end - steady_clock::now()).count();
      pollfd ready{fd_, event, 0};
      const int count = poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
      if (count < 0 && errno != EINTR) return Failed("waiting for", errno);
      // What arrived before a hang-up is still read.
      if (count > 0 && (ready.revents & event) != 0) return absl::OkStatus();
      if (count > 0) return Gone();
      if (count == 0) {
        return absl::DeadlineExceededError(
            absl::StrCat(path_, event == POLLIN ? ": nothing arrived" : ": it takes nothing"));
      }
    }
  }

  absl::Status Gone() const {
    return absl::UnavailableError(
        absl::StrCat(path_, " hung up: the meter was unplugged or reset"));
  }
  absl::Status Failed(const char* doing, int error) const {
    if (error == EIO || error == ENXIO || error == ENODEV) return Gone();
    return absl::InternalError(absl::StrCat(doing, " ", path_, ": ", std::strerror(error)));
  }

  const std::string path_;
  const int fd_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> OpenSerial(const std::string& path, int baud) {
  const std::optional<speed_t> speed = SpeedOf(baud);
  if (!speed)
    return absl::InvalidArgumentError(absl::StrCat(path, ": no line has ", baud, " baud"));
  // Without O_NONBLOCK, opening may wait for a carrier.
  const int fd = open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return OpenError(path, errno);
  auto link = std::make_unique<SerialLink>(path, fd);
  if (absl::Status ready = link->SetUp(*speed); !ready.ok()) return ready;
  return link;
}

}  // namespace joulefarm::agent
