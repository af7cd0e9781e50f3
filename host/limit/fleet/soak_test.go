package fleet

import "os"

// soak says that tests may take long.
var soak = os.Getenv("KAI_SOAK") != ""
