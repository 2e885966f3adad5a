#include "cli/session.h"

#include "absl/strings/str_cat.h"
#include "cli/config.h"
#include "cli/output/text.h"

namespace joulefarm::cli {

absl::StatusOr<FarmClient*> Session::Client() {
  if (client_ == nullptr) {
    const absl::StatusOr<std::string> address =
        ResolveController({controller, context, console_.environment});
    if (!address.ok()) return address.status();
    client_ = std::make_unique<FarmClient>(*address, console_.interrupted);
  }
  return client_.get();
}

int Session::Fail(const absl::Status& status) {
  console_.out.flush();
  console_.err << "error: " << Explain(status, client_ == nullptr ? "" : client_->address())
               << std::endl;
  return ExitCodeOf(status);
}

int Session::FailHere(const absl::Status& status) {
  FailUsage(absl::string_view(status.message()));
  return ExitCodeOf(status);
}

int Session::FailUsage(absl::string_view message) {
  console_.out.flush();
  console_.err << "error: " << CleanLines(message) << std::endl;
  return kExitUsage;
}

std::string Session::Hint(absl::string_view arguments) const {
  std::string global;
  if (controller) {
    global = absl::StrCat(" --controller ", *controller);
  } else if (context) {
    global = absl::StrCat(" --context ", *context);
  }
  return absl::StrCat("joulefarm", global, " ", arguments);
}

}  // namespace joulefarm::cli
