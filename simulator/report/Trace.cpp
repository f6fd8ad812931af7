//===- Trace.cpp - The run as a timeline ----------------------------------===//
//
// Chrome's trace event format: one row an engine channel, one box a command, named after
// the ONNX node that it belongs to.
//
//===----------------------------------------------------------------------===//

#include "simulator/report/Report.h"

#include "llvm/Support/JSON.h"

using namespace llvm;

namespace npucc {

namespace {

std::string streamName(const Program &program, int32_t stream) {
  if (stream < 0 || stream >= static_cast<int32_t>(program.streams.size()))
    return "stream " + std::to_string(stream);
  static const char *const kEngines[] = {"load", "store", "matrix", "vector", "control"};
  const Stream &it = program.streams[static_cast<size_t>(stream)];
  return std::string(kEngines[static_cast<size_t>(it.engine)]) + " " + std::to_string(it.channel);
}

const char *kindName(CommandKind kind) {
  static const char *const kKinds[] = {"dma", "matrix", "vector", "gather", "host"};
  return kKinds[static_cast<size_t>(kind)];
}

} // namespace

void writeTrace(raw_ostream &os, const Program &program, const Machine &machine,
                const SimulationResult &result) {
  double microseconds = 1e6 / machine.clockHz;
  json::OStream json(os);
  json.object([&] {
    json.attribute("displayTimeUnit", "ns");
    json.attributeArray("traceEvents", [&] {
      json.object([&] {
        json.attribute("name", "process_name");
        json.attribute("ph", "M");
        json.attribute("pid", 1);
        json.attributeObject("args", [&] { json.attribute("name", machine.name); });
      });
      for (size_t i = 0; i < program.streams.size(); ++i)
        json.object([&] {
          json.attribute("name", "thread_name");
          json.attribute("ph", "M");
          json.attribute("pid", 1);
          json.attribute("tid", int64_t(i));
          json.attributeObject("args", [&] {
            json.attribute("name", streamName(program, static_cast<int32_t>(i)));
          });
        });
      for (const TraceEvent &event : result.trace) {
        bool layer = event.layer >= 0 && size_t(event.layer) < program.layers.size();
        bool command = event.command >= 0 && size_t(event.command) < program.commands.size();
        json.object([&] {
          json.attribute("name", layer ? json::fixUTF8(program.layers[size_t(event.layer)].node)
                                       : std::string("(none)"));
          json.attribute("cat",
                         command ? kindName(program.commands[size_t(event.command)].kind) : "wait");
          json.attribute("ph", "X");
          json.attribute("pid", 1);
          json.attribute("tid", event.stream);
          json.attribute("ts", double(event.startCycle) * microseconds);
          json.attribute("dur", double(event.endCycle - event.startCycle) * microseconds);
          json.attributeObject("args", [&] {
            json.attribute("command", event.command);
            json.attribute("cycles", event.endCycle - event.startCycle);
            if (layer)
              json.attribute("op", json::fixUTF8(program.layers[size_t(event.layer)].op));
          });
        });
      }
    });
  });
  os << "\n";
}

} // namespace npucc
