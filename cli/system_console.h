// The real console: standard streams, terminal size, environment, Ctrl-C.
//
// Thread rule: one per process, used from main. Ownership: owns its stream buffers; restores
// nothing at exit.
#pragma once

#include <memory>

#include "cli/console.h"

namespace joulefarm::cli {

class SystemConsole {
 public:
  // Ignores SIGPIPE, so that a reader that stops reading is seen as an error of the stream.
  SystemConsole();
  ~SystemConsole();
  SystemConsole(const SystemConsole&) = delete;
  SystemConsole& operator=(const SystemConsole&) = delete;

  Console& console() { return *console_; }

 private:
  class FdBuffer;
  std::unique_ptr<FdBuffer> out_buffer_;
  std::unique_ptr<FdBuffer> err_buffer_;
  std::ostream out_;
  std::ostream err_;
  std::unique_ptr<Console> console_;
};

}  // namespace joulefarm::cli
