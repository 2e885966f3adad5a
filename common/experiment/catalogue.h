// What an experiment's names stand for at the moment of submission: artifacts by name.
//
// Threads: used on the thread that expands. Ownership: outlives the call it is given to.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

class Catalogue {
 public:
  virtual ~Catalogue() = default;
  // The artifact as a model: name, digest, size, quantisation. NotFound when there is none; another
  // error (not a model, unreadable) is shown to the operator as it is.
  virtual absl::StatusOr<v1::ModelRef> Model(absl::string_view name) const = 0;
  // The whole content of a text artifact. NotFound as above; ResourceExhausted may refuse large
  // ones.
  virtual absl::StatusOr<std::string> Text(absl::string_view name) const = 0;
  // Every artifact's name, for "did you mean".
  virtual std::vector<std::string> Names() const = 0;
};

}  // namespace joulefarm
