# Tests of the tools' behaviour at the command line and of single passes (FileCheck).
import os

import lit.formats

config.name = "npucc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.npucc_obj_root

# The tools under test first, then FileCheck, not, count and split-file of the same LLVM.
config.environment["PATH"] = os.path.pathsep.join(
    [config.npucc_tools_dir, config.llvm_tools_dir, config.environment["PATH"]])
config.environment["NO_COLOR"] = "1"
config.environment["SYSTEMC_DISABLE_COPYRIGHT_MESSAGE"] = "1"
for name in ("HOME", "CCACHE_DIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(("%models", config.npucc_models_dir))
config.substitutions.append(("%shared", config.npucc_shared_dir))
# `REQUIRES: shared` for tests of networks that are not part of the repository.
if os.path.isdir(os.path.join(config.npucc_shared_dir, "models")):
    config.available_features.add("shared")
