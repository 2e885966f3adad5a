// Reads what a child prints: hands out lines with the time they arrived and remembers the end of it
// all.
//
// Threads: a thread of its own calls `on_line`; everything else from any thread. Ownership: owns
// the descriptors.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {

enum class OutputSource { kStdout, kStderr };

struct OutputLine {
  OutputSource source;
  absl::string_view text;  // without its line end; any bytes; valid during the call
  std::int64_t t_ns;       // BOOTTIME, taken when the read that completed the line returned
};

class OutputReader {
 public:
  // Longer lines are handed out in pieces.
  static constexpr std::size_t kLongestLine = std::size_t{64} * 1024;
  static constexpr std::size_t kTailBytes = std::size_t{64} * 1024;

  OutputReader(UniqueFd stdout_fd, UniqueFd stderr_fd,
               std::function<void(const OutputLine&)> on_line);
  // Stops.
  ~OutputReader();
  OutputReader(const OutputReader&) = delete;
  OutputReader& operator=(const OutputReader&) = delete;

  // Waits until both streams have ended; false when they have not at the BOOTTIME deadline.
  bool WaitForEnd(std::int64_t deadline_ns);
  // Ends reading, taking what can be read at once; on_line is not called afterwards.
  void Stop();
  // The last bytes of both streams as they came, at most kTailBytes.
  std::string Tail() const;

 private:
  struct Stream {
    UniqueFd fd;
    OutputSource source;
    std::string partial;
  };

  void Loop();
  // Reads once; false at the stream's end.
  bool ReadOnce(Stream& stream);
  void HandOut(Stream& stream, std::int64_t t_ns);
  void Remember(absl::string_view bytes);

  std::array<Stream, 2> streams_;
  std::function<void(const OutputLine&)> on_line_;
  UniqueFd stop_;
  mutable std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;
  std::string tail_;
  std::thread thread_;
};

}  // namespace joulefarm::agent
