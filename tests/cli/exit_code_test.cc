#include "cli/exit_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;

TEST(ExitCode, OfEveryStatusCode) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  for (const auto code : {absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound,
                          absl::StatusCode::kAlreadyExists, absl::StatusCode::kFailedPrecondition,
                          absl::StatusCode::kOutOfRange}) {
    EXPECT_EQ(ExitCodeOf(absl::Status(code, "x")), 2) << absl::StatusCodeToString(code);
  }
  for (const auto code : {absl::StatusCode::kUnknown, absl::StatusCode::kDeadlineExceeded,
                          absl::StatusCode::kPermissionDenied, absl::StatusCode::kResourceExhausted,
                          absl::StatusCode::kAborted, absl::StatusCode::kUnimplemented,
                          absl::StatusCode::kInternal, absl::StatusCode::kUnavailable,
                          absl::StatusCode::kDataLoss, absl::StatusCode::kUnauthenticated}) {
    EXPECT_EQ(ExitCodeOf(absl::Status(code, "x")), 3) << absl::StatusCodeToString(code);
  }
  EXPECT_EQ(ExitCodeOf(absl::CancelledError("x")), 130);
}

TEST(ExitCode, OnlyAControllerThatMayComeBackIsTriedAgain) {
  EXPECT_TRUE(IsTransient(absl::UnavailableError("x")));
  EXPECT_TRUE(IsTransient(absl::DeadlineExceededError("x")));
  EXPECT_FALSE(IsTransient(absl::OkStatus()));
  EXPECT_FALSE(IsTransient(absl::NotFoundError("x")));
  EXPECT_FALSE(IsTransient(absl::InternalError("x")));
}

TEST(ExitCode, ExplanationsSayWhatToDo) {
  EXPECT_THAT(Explain(absl::UnavailableError("Connection refused"), "lab:7070"),
              HasSubstr("cannot reach the controller at lab:7070: is joulefarm-controller running? "
                        "(Connection refused)"));
  EXPECT_EQ(
      Explain(absl::InvalidArgumentError("exp.yaml:3:1: wrong\nexp.yaml:4:1: too"), "lab:7070"),
      "exp.yaml:3:1: wrong\nexp.yaml:4:1: too");
  EXPECT_EQ(Explain(absl::UnavailableError("the database is read-only: disk full"), "lab:7070"),
            "the controller at lab:7070 cannot do this now: the database is read-only: disk full");
  EXPECT_THAT(Explain(absl::InternalError("disk\x1b[2J"), "lab:7070"),
              HasSubstr("disk\\x1b[2J (INTERNAL from the controller at lab:7070)"));
}

}  // namespace
}  // namespace joulefarm::cli
