#include "cli/exit_code.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

// UNAVAILABLE comes from gRPC when there is no connection, and from a controller that is there but
// cannot, for instance write. Only the text tells them apart.
bool IsOfTransport(absl::string_view message) {
  static constexpr std::array<absl::string_view, 9> kWords{
      "onnect", "DNS", "ocket", "GOAWAY", "ransport", "ndpoint", "etwork", "route", "timed out"};
  return message.empty() || std::any_of(kWords.begin(), kWords.end(), [&](absl::string_view word) {
           return absl::StrContains(message, word);
         });
}

}  // namespace

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return kExitUsage;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnauthenticated:
    default:
      return kExitInfra;
  }
}

bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsAborted(status);
}

std::string Explain(const absl::Status& status, absl::string_view address) {
  const std::string message = CleanLines(absl::string_view(status.message()));
  const std::string where(address);
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      if (!IsOfTransport(message)) {
        return absl::StrCat("the controller at ", where, " cannot do this now: ", message);
      }
      return absl::StrCat("cannot reach the controller at ", where,
                          ": is joulefarm-controller running? (", message,
                          ")\nStart it, or name another one with --controller HOST:PORT or "
                          "JOULEFARM_CONTROLLER.");
    case absl::StatusCode::kDeadlineExceeded:
      return absl::StrCat("cannot reach the controller at ", where,
                          ": it did not answer in time. Is joulefarm-controller running and not "
                          "overloaded? (",
                          message, ")");
    case absl::StatusCode::kUnimplemented:
      return absl::StrCat("the controller at ", where,
                          " does not know this request: it is of another version, or no Joulefarm "
                          "controller (",
                          message, ")");
    case absl::StatusCode::kCancelled:
      return "interrupted";
    default:
      if (ExitCodeOf(status) == kExitUsage && !message.empty()) return message;
      return absl::StrCat(message.empty() ? "no reason given" : message, " (",
                          absl::StatusCodeToString(status.code()), " from the controller at ",
                          where, ")");
  }
}

}  // namespace joulefarm::cli
