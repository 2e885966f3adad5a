// joulefarm-fake-meter: runs a command in a world that has one USB device more, a KM003C that is
// not there. What it shows follows this machine's processors between two powers. Its name and
// serial number say that it is simulated, and the agent labels what comes from it so.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <vector>

#include "deploy/fake_meter/fake_km003c.h"

namespace joulefarm {
namespace {

constexpr int kExitUsage = 2;
constexpr int kExitNotFound = 127;
constexpr int kSignalBase = 128;
constexpr int kMeterNiceness = -15;
constexpr double kVolts = 5;
constexpr std::int64_t kLoadNs = 20'000'000;

// Ticks of all processors since boot, from the first line of /proc/stat.
struct Ticks {
  double busy = 0;
  double all = 0;
};

Ticks ReadTicks() {
  constexpr int kIdle = 3;
  constexpr int kWaiting = 4;
  constexpr int kKinds = 8;
  std::ifstream file("/proc/stat");
  std::string name;
  file >> name;
  Ticks ticks;
  for (int kind = 0; kind < kKinds; ++kind) {
    double count = 0;
    if (!(file >> count)) break;
    ticks.all += count;
    if (kind != kIdle && kind != kWaiting) ticks.busy += count;
  }
  return ticks;
}

// The share of the processors that was busy over the last moment, times a range of power.
class Load {
 public:
  Load(double idle_w, double busy_w) : idle_w_(idle_w), busy_w_(busy_w) {}
  FakeKm003c::Flow At(std::int64_t t_ns) {
    const std::lock_guard lock(mutex_);
    if (t_ns - read_ns_ >= kLoadNs) {
      const Ticks now = ReadTicks();
      if (now.all > last_.all) share_ = (now.busy - last_.busy) / (now.all - last_.all);
      last_ = now;
      read_ns_ = t_ns;
    }
    return {kVolts, (idle_w_ + (busy_w_ - idle_w_) * share_) / kVolts};
  }

 private:
  const double idle_w_;
  const double busy_w_;
  std::mutex mutex_;  // guards what follows
  Ticks last_;
  std::int64_t read_ns_ = 0;
  double share_ = 0;
};

volatile pid_t child_pid = 0;

// What ends this process is for the command.
extern "C" void PassOn(int number) {
  if (child_pid > 0) kill(child_pid, number);
}

int Run(const std::vector<std::string>& command, int niceness) {
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t self = getpid();
  const pid_t child = fork();
  if (child == 0) {
    // Without its meter it is not to go on.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpriority(PRIO_PROCESS, 0, niceness);
    if (getppid() != self) _exit(kExitNotFound);
    execvp(argv[0], argv.data());
    std::cerr << "cannot run " << command[0] << ": " << std::strerror(errno) << '\n';
    _exit(kExitNotFound);
  }
  if (child < 0) {
    std::cerr << "cannot start a process: " << std::strerror(errno) << '\n';
    return kExitNotFound;
  }
  child_pid = child;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, PassOn);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
}

int Main(int argc, char** argv) {
  CLI::App app{
      "Runs a command in a world with one USB device more: a KM003C power meter that is not "
      "there.\nWhat it shows follows this machine's processors, and says everywhere that it is "
      "simulated.",
      "joulefarm-fake-meter"};
  double idle_w = 2;
  double busy_w = 10;
  std::vector<std::string> command;
  app.add_option("--idle-w", idle_w, "What it shows while the processors idle, default 2 W")
      ->check(CLI::Range(0.0, 60.0))
      ->type_name("W");
  app.add_option("--busy-w", busy_w, "What it shows while all of them are busy, default 10 W")
      ->check(CLI::Range(0.0, 60.0))
      ->type_name("W");
  app.add_option("command", command, "What to run, behind --")->required();
  app.footer("Example:\n  umockdev-wrapper joulefarm-fake-meter -- joulefarm-agent meters");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (!FakeUsbBus::Works()) {
    std::cerr << "run it under umockdev-wrapper (Debian package umockdev)\n";
    return kExitUsage;
  }
  // A meter does not wait for processors of the host it measures; only root may have that.
  const int niceness = getpriority(PRIO_PROCESS, 0);
  setpriority(PRIO_PROCESS, 0, kMeterNiceness);
  Load load(idle_w, busy_w);
  FakeKm003c meter(
      "SIMULATED-1", [&](std::int64_t t_ns) { return load.At(t_ns); },
      "POWER-Z KM003C (simulated)");
  FakeUsbBus bus;
  bus.Plug(meter);
  return Run(command, niceness);
}

}  // namespace
}  // namespace joulefarm

int main(int argc, char** argv) { return joulefarm::Main(argc, argv); }
