// Experiments and devices at work, with what the devices do just now: a live picture for terminals.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/output/text_table.h"
#include "cli/view/progress.h"

namespace joulefarm::cli {

// How far a device is with its share. Runs of jobs that ended count as done, however they ended.
struct DeviceRuns {
  std::string device;
  int done = 0;
  int total = 0;
  std::string link = {};  // of its agent, "OFFLINE"; empty: not known
};

struct WatchPicture {
  ProgressPicture progress;
  std::vector<DeviceRuns> runs;  // in order of device; empty: not known
  // Devices that were asked and have not answered for a while.
  std::set<std::string> silent;
  int most_devices = 8;
  // What cells are called; those that are not here are written out.
  std::map<std::string, std::string> cells = {};
  // How wide what devices do is at least, so that columns stand still while texts change.
  int least_doing = 0;
};

// A headline, a line for each device that works or waits, and the counts; none wider than the look.
std::vector<std::string> WatchLines(const WatchPicture& picture, const Look& look);

// "edge-7f3a  chat · tiny-q8_0 · run 3 of 4  402 tok/s  ~14.2 W  51 °C", for logs.
std::string ActiveJobLine(const v1::ActiveJob& job,
                          const std::map<std::string, std::string>& cells);

// Terminal cells of the widest text of what a device does.
int DoingWidth(const WatchPicture& picture);

}  // namespace joulefarm::cli
