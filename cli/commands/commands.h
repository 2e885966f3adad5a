// The commands of the CLI: each function adds one group to the command line and sets session.action
// when chosen.
//
// Thread rule: one thread, during set-up. Ownership: the app keeps the options, the session
// outlives the app.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cli/listing.h"
#include "cli/session.h"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace joulefarm::cli {

void AddSubmit(CLI::App& app, Session& session);
void AddExperiment(CLI::App& app, Session& session);
void AddJob(CLI::App& app, Session& session);
void AddDevice(CLI::App& app, Session& session);
void AddResource(CLI::App& app, Session& session);
void AddAgent(CLI::App& app, Session& session);
void AddArtifact(CLI::App& app, Session& session);
void AddResult(CLI::App& app, Session& session);
// A command of the group `experiment`, in a file of its own.
void AddExperimentReport(CLI::App& group, Session& session);
// Commands of the group `result`, each in a file of its own.
void AddResultTrace(CLI::App& group, Session& session);
void AddResultRecompute(CLI::App& group, Session& session);
void AddResultExport(CLI::App& group, Session& session);
void AddResultCompare(CLI::App& group, Session& session);
void AddSql(CLI::App& app, Session& session);
void AddDoctor(CLI::App& app, Session& session);
void AddBackup(CLI::App& app, Session& session);
void AddCompletion(CLI::App& app, Session& session);
void AddVersion(CLI::App& app, Session& session);
// Commands of a group that have a file of their own.
void AddJobLogs(CLI::App& group, Session& session);
void AddDeviceWatch(CLI::App& group, Session& session);
void AddDeviceSet(CLI::App& group, Session& session);

// -o/--output with the formats of listings, or of single objects (table, json).
void AddFormat(CLI::App& command, std::string& format);
// -o, --filter and --limit.
void AddListingOptions(CLI::App& command, ListingOptions& options);
// Takes whole numbers of at least `least`.
CLI::Validator WholeNumber(std::int64_t least);
// A group (`job`) that needs one of its commands.
CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& description,
                   const std::string& examples);
// A command with details and examples below its help; the description alone stands in the list of
// commands.
CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& description,
                     const std::string& examples, const std::string& details = "");

// The listings of the groups, also used by `get`.
Listing ExperimentListing();
Listing JobListing();
Listing DeviceListing();
Listing ResourceListing();
Listing AgentListing();
Listing ArtifactListing();
Listing ResultListing();

}  // namespace joulefarm::cli
