// Running a listing: request, filters, and the output format.
//
// Thread rule: one thread. Ownership: nothing kept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/output/printer.h"
#include "cli/session.h"
#include "cli/view/listing_view.h"

namespace joulefarm::cli {

// What the options of a listing say.
struct ListingOptions {
  std::string format = "table";
  std::vector<std::string> filters;          // key=value
  std::map<std::string, std::string> named;  // column → wanted value, from options with a name of
                                             // their own; empty values are ignored
  std::int64_t limit = 0;
};

// A listing a command shows.
struct Listing {
  v1::Listing kind = v1::LISTING_UNSPECIFIED;
  std::string plural;  // "jobs": "no jobs"
  std::function<ListingView(const Table&)> view;
};

// Named options and --filter together. INVALID_ARGUMENT for a filter that is not key=value or
// contradicts another.
absl::StatusOr<std::map<std::string, std::string>> MergedFilters(const ListingOptions& options);

// Lists; returns the exit code.
int RunListing(Session& session, const Listing& listing, const ListingOptions& options);

// Shows one object by id: `key: value` lines, or a JSON object; returns the exit code.
int RunGet(Session& session, const Listing& listing, const std::string& id,
           const std::string& format);

// Shows a table of one or more objects the same way: several stand side by side under `head`, and
// are an array in JSON.
void ShowObjects(Session& session, const Table& table, const std::string& head,
                 const std::string& format);

}  // namespace joulefarm::cli
