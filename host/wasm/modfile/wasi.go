package modfile

// WASIModule is the name that functions of WASI preview 1 are imported from.
const WASIModule = "wasi_snapshot_preview1"

// WASI has the functions of WASI preview 1 that compilers link in without being asked, with
// the types of their parameters ('i' is i32, 'I' is i64). A module that imports any other is
// refused. Package wasm implements them.
var WASI = map[string]string{
	"args_get":                "ii",
	"args_sizes_get":          "ii",
	"environ_get":             "ii",
	"environ_sizes_get":       "ii",
	"clock_res_get":           "ii",
	"clock_time_get":          "iIi",
	"random_get":              "ii",
	"fd_write":                "iiii",
	"fd_read":                 "iiii",
	"fd_close":                "i",
	"fd_seek":                 "iIii",
	"fd_tell":                 "ii",
	"fd_sync":                 "i",
	"fd_fdstat_get":           "ii",
	"fd_fdstat_set_flags":     "ii",
	"fd_filestat_get":         "ii",
	"fd_filestat_set_size":    "iI",
	"fd_pread":                "iiiIi",
	"fd_pwrite":               "iiiIi",
	"fd_readdir":              "iiiIi",
	"fd_prestat_get":          "ii",
	"fd_prestat_dir_name":     "iii",
	"path_create_directory":   "iii",
	"path_filestat_get":       "iiiii",
	"path_filestat_set_times": "iiiiIIi",
	"path_link":               "iiiiiii",
	"path_open":               "iiiiiIIii",
	"path_readlink":           "iiiiii",
	"path_remove_directory":   "iii",
	"path_rename":             "iiiiii",
	"path_symlink":            "iiiii",
	"path_unlink_file":        "iii",
	"poll_oneoff":             "iiii",
	"sched_yield":             "",
	"proc_exit":               "i",
}
