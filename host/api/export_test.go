package api

import "net/http"

// RoutesOf gives the table of a handler that New made.
func RoutesOf(h http.Handler) []Route { return h.(*server).table.routes }
