// absl::Status to grpc::Status, once, at the edge.
//
// Threads: pure functions. Ownership: none.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace joulefarm::controller {

inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace joulefarm::controller
