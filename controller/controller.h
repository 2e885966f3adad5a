// A whole controller in one object: main runs one, tests run several.
//
// Thread rule: Start and destruction from one thread. Ownership: owns everything it starts; when it
// is gone no thread of it is left.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/daemon/address.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

struct ControllerOptions {
  HostPort listen{"127.0.0.1", 7070};
  HostPort http{"127.0.0.1", 7071};
  std::filesystem::path state;
  bool allow_plaintext = false;
  FarmConfig farm;
  std::string version;
};

class Controller {
 public:
  // Locks the state directory, opens the database, listens, and writes STATE/address. Errors name
  // what, where and what to do.
  static absl::StatusOr<std::unique_ptr<Controller>> Start(const ControllerOptions& options);
  ~Controller();

  const HostPort& grpc_address() const;
  const HostPort& http_address() const;
  std::filesystem::path database() const;

 private:
  struct Parts;
  explicit Controller(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace joulefarm::controller
