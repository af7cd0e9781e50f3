package responses

import "testing"

func TestUsage(t *testing.T) {
	for name, tc := range map[string]struct{ chat, want string }{
		"all that OpenAI counts": {
			`{"prompt_tokens":120,"completion_tokens":30,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":8},"completion_tokens_details":{"reasoning_tokens":10}}`,
			`{"input_tokens":120,"input_tokens_details":{"cached_tokens":64,"cache_write_tokens":8},"output_tokens":30,"output_tokens_details":{"reasoning_tokens":10},"total_tokens":150}`,
		},
		"no details": {
			`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}`,
			`{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}`,
		},
		"details that lack what clients need, and have more": {
			`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"audio_tokens":5},"completion_tokens_details":{"audio_tokens":6,"reasoning_tokens":null}}`,
			`{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":5},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0,"audio_tokens":6},"total_tokens":3}`,
		},
		"details that are none": {
			`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":null,"completion_tokens_details":7}`,
			`{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}`,
		},
		"counts that are no counts": {
			`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":1.9,"cache_write_tokens":"5"},"completion_tokens_details":{"reasoning_tokens":-1}}`,
			`{"input_tokens":1,"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}`,
		},
		"other fields stay, but replace nothing": {
			`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cost":0.25,"input_tokens":99,"is_byok":false}`,
			`{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3,"cost":0.25,"is_byok":false}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(appendUsage(nil, []byte(tc.chat))); got != tc.want {
				t.Errorf("got\n%s, want\n%s", got, tc.want)
			}
		})
	}
}
